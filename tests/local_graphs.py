"""Small graphs for the run without Kafka: steps that note the order in which they see records."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace import Batch, DeadRow, ObjectTable, Output, Step, StructCodec, Topic
from headrace.batch import Part
from headrace.local.graph import LocalGraph
from headrace.local.loading import load_codecs, load_steps
from headrace.local.rows import records_of
from headrace.local.task import Watch
from headrace.project import Project
from headrace.runtime.emission import emission_of
from headrace.state.tables import ObjectState

ROOT = Path(__file__).resolve().parents[1]
PROJECT = Project(ROOT)
SCHEMA = "account_control.v1"
"""Four fields: a text and an enum to be key by, a text for content, a time."""

WORD = Topic("test.word.v1", SCHEMA, key=("account",))
ASIDE = Topic("test.aside.v1", SCHEMA, key=("account",))
SAID = Topic("test.said.v1", SCHEMA, key=("state",))
RAW = Topic("test.raw.v1", SCHEMA, key=("reason",))
BACK = Topic("test.back.v1", SCHEMA, key=("account",))

HEARD = ObjectTable("note_order.text_by_account.v1", StructCodec(list[str], lambda _: []))


def word(reason: str, account: str = "a", state: str = "ACTIVE") -> dict[str, Any]:
    """Return a record of any of the topics."""
    return {"account": account, "state": state, "reason": reason, "event_time_ns": 0}


def rows_in_order(batch: Batch) -> list[dict[str, Any]]:
    """Return the rows of a batch as an agent sees them."""
    rows = [part.records.to_pylist() for part in batch.parts]
    order = zip(batch.order_parts.tolist(), batch.order_rows.tolist(), strict=True)
    return [rows[part][row] for part, row in order]


def note_order(batch: Batch, state: ObjectState[list[str]]) -> Output:
    """Say of every record which came before it of its account, as a hash; `!` is dead."""
    found, causes, dead = [], [], []
    for cause, row in enumerate(rows_in_order(batch)):
        if row["reason"] == "!":
            part, place = int(batch.order_parts[cause]), int(batch.order_rows[cause])
            dead.append(DeadRow(part, place, "shouted", "expected a word, found !"))
            continue
        heard = state.edit(row["account"])
        heard.append(row["reason"])
        if row["reason"].startswith("back "):
            continue
        digest = hashlib.sha256("\n".join(heard).encode()).hexdigest()[:12]
        found.append(row | {"reason": f"{row['reason']} {digest}"})
        causes.append(cause)
    if not found:
        return Output(dead=dead)
    records = pa.RecordBatch.from_pylist(found, schema=batch.parts[0].records.schema)
    return Output({SAID.name: records}, dead, causes={SAID.name: np.array(causes, np.int64)})


def say_back(batch: Batch) -> Output:
    """Send what was said back to who said it."""
    rows = [row | {"reason": f"back {row['reason']}"} for row in batch.records.to_pylist()]
    records = pa.RecordBatch.from_pylist(rows, schema=batch.records.schema)
    return Output({BACK.name: records}, causes={BACK.name: np.arange(len(batch))})


def hand_on(batch: Batch) -> Output:
    """Hand records on to those who note them."""
    return Output({WORD.name: batch.records}, causes={WORD.name: np.arange(len(batch))})


def say_again(batch: Batch) -> Output:
    """Send what comes back to itself, for ever."""
    return Output({BACK.name: batch.records}, causes={BACK.name: np.arange(len(batch))})


NOTE = Step("note", note_order, reads=(WORD, ASIDE), writes=(SAID,), table=HEARD)
LOOP = (
    Step("note", note_order, reads=(WORD, ASIDE, BACK), writes=(SAID,), table=HEARD),
    Step("back", say_back, reads=(SAID,), writes=(BACK,)),
)
RELAYED = (Step("relay", hand_on, reads=(RAW,), writes=(WORD,)), *LOOP)
"""Raw records lie in many partitions; the words of an account in one."""


class Driven:
    """A graph of steps, and what it writes: values by topic and partition, records by topic."""

    def __init__(self, steps: Sequence[Step], **options: Any) -> None:
        touched = {t.name: t for step in steps for t in (*step.reads, *step.writes)}
        self._codecs = load_codecs(PROJECT.schemas, touched.values())
        self.values: dict[tuple[str, int], list[bytes | None]] = {}
        self.rows: dict[str, list[Mapping[str, Any]]] = {}
        self.parts: list[Part] = []
        watch = Watch(parts=dict.fromkeys(touched, self._keep))
        self.graph = LocalGraph(
            load_steps(PROJECT, steps, self._codecs), self._codecs, watch, **options
        )

    def _keep(self, part: Part) -> None:
        self.parts.append(part)
        self.values.setdefault((part.topic, part.partition), []).extend(part.values)
        self.rows.setdefault(part.topic, []).extend(part.records.to_pylist())

    def write(self, topic: Topic, rows: Sequence[Mapping[str, Any]], times: Sequence[int]) -> None:
        """Write rows that come at these times, in ms."""
        codec = self._codecs[topic.name]
        stamps_ms = np.array(times, np.int64)
        records = records_of(rows, codec.schema)
        self.graph.write(emission_of("test", records, codec, None, stamps_ms))

    def reasons(self, topic: Topic) -> list[str]:
        """Return the first word of each record's reason."""
        return [row["reason"].split()[0] for row in self.rows.get(topic.name, [])]
