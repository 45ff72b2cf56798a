"""The work of one partition: steps in flow order, from the records read to the records to write."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from headrace.batch import Batch, DeadRow, Headers, IntArray, Output, Part
from headrace.errors import InvariantError
from headrace.kafka.fetched import RawPart
from headrace.runtime.draft import Draft, DraftColumn
from headrace.runtime.emission import TopicCodec
from headrace.runtime.merge import NOT_ASKED, ReadOut, SequenceMerge, merge_table
from headrace.runtime.parts import empty_part
from headrace.state.tables import RowState, Table, TableState
from headrace.topology import Step


@dataclass(frozen=True, slots=True)
class LoadedStep:
    """A step with what its agent needs loaded, and the codecs of all topics it touches."""

    step: Step
    codecs: Mapping[str, TopicCodec]
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dead:
    """A record a step could not process, with what its dead letter says."""

    step: str
    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None
    headers: Headers
    cause: str
    detail: str

    @classmethod
    def of(cls, step: str, part: Part | RawPart, row: int, cause: str, detail: str) -> "Dead":
        """Return the letter for a row of what a step read."""
        return cls(
            step,
            part.topic,
            part.partition,
            int(part.offsets[row]),
            part.values[row] or b"",
            part.keys[row],
            () if part.headers is None else part.headers[row],
            cause,
            detail,
        )


@dataclass(slots=True)
class Results:
    """What came of one call of a chain."""

    drafts: list[Draft] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    records_in: Counter[str] = field(default_factory=Counter)
    records_out: Counter[str] = field(default_factory=Counter)
    busy_ns: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """Records that merges gave up, by step."""


class Chain:
    """Steps fused over one partition: what one writes the next reads at once, in the same call.

    Pure but for its state: the same parts in the same order give the same results.
    """

    def __init__(
        self,
        steps: Sequence[LoadedStep],
        partition: int,
        tables: Mapping[str, TableState] | None = None,
    ) -> None:
        """Begin with these states of tables, by name; with empty ones if none are given."""
        self._steps = steps
        self._partition = partition
        self.counts: Counter[str] = Counter()
        self.tables: dict[str, TableState] = {}
        # Made once: for batches of a few records that would take longer than their steps.
        self._empties = {loaded.step.name: self._empty(loaded) for loaded in steps}
        for loaded in steps:
            for table in tables_of([loaded.step]):
                self.tables[table.name] = table.open()
        self.tables |= tables or {}
        self._merges = {
            loaded.step.name: self._merge(loaded.step) for loaded in steps if loaded.step.merge
        }

    def begun_again(self) -> "Chain":
        """Return a chain over the same states that holds nothing back and has counted nothing."""
        return Chain(self._steps, self._partition, self.tables)

    def process(
        self, parts: Sequence[Part], now_s: float, read_out: ReadOut = NOT_ASKED
    ) -> Results:
        """Run every step on the parts it reads and on what the steps before it wrote.

        `now_s` is a monotonic clock, and `read_out` what is known of the ends of the logs: for
        merges that miss a record; agents see neither.
        """
        results = Results()
        available = {part.topic: part for part in parts}
        for loaded in self._steps:
            started_ns = time.perf_counter_ns()
            batch = self._batch(loaded, available, now_s, read_out, results)
            if batch is None:
                continue
            output = self._call(loaded, batch)
            self._collect(loaded, batch, output, results, available)
            results.busy_ns[loaded.step.name] += time.perf_counter_ns() - started_ns
        return results

    def misses(self, now_s: float, asked_s: float) -> list[str]:
        """Return the topics whose ends a merge has to know to give a record up, or wait on.

        None if it knows enough of them as of `asked_s`.
        """
        return [
            topic.name
            for loaded in self._steps
            if loaded.step.merge and self._merges[loaded.step.name].asks(now_s, asked_s)
            for topic in loaded.step.reads
        ]

    def held_offsets(self) -> dict[str, int]:
        """Return by topic the first offset that is read but not processed yet."""
        return {
            topic: int(part.offsets.min())
            for merge in self._merges.values()
            for topic, part in merge.held().items()
            if part.offsets.min() >= 0
        }

    def held_records(self) -> dict[str, int]:
        """Return by topic how many records a merge holds back."""
        return {
            topic: len(part)
            for merge in self._merges.values()
            for topic, part in merge.held().items()
        }

    def held_parts(self) -> list[Part]:
        """Return what merges hold back of what was read from the log."""
        held = (part for merge in self._merges.values() for part in merge.held().values())
        return [part for part in held if part.offsets.min() >= 0]

    def _merge(self, step: Step) -> SequenceMerge:
        state = self.tables[merge_table(step.name).name]
        return SequenceMerge(self._empties[step.name], step.merge, cast("RowState", state))

    def _empty(self, loaded: LoadedStep) -> dict[str, Part]:
        return {
            topic.name: empty_part(
                topic.name, self._partition, loaded.codecs[topic.name].schema.arrow
            )
            for topic in loaded.step.reads
        }

    def _batch(
        self,
        loaded: LoadedStep,
        available: Mapping[str, Part],
        now_s: float,
        read_out: ReadOut,
        results: Results,
    ) -> Batch | None:
        step = loaded.step
        mine = [available[topic.name] for topic in step.reads if topic.name in available]
        merge = self._merges.get(step.name)
        if merge is not None:
            batch, counts = merge.add(mine, now_s, read_out)
            self._count(step, counts)
            results.lost[step.name] += counts.get("merge_gap_skipped", 0)
            return batch
        if not any(len(part) for part in mine):
            return None
        if len(step.reads) == 1:
            return Batch.of(mine[0])
        empty = self._empties[step.name]
        parts = tuple(available.get(name, none) for name, none in empty.items())
        numbers = [np.full(len(part), i, np.uint8) for i, part in enumerate(parts)]
        rows = [np.arange(len(part), dtype=np.int64) for part in parts]
        return Batch(parts, np.concatenate(numbers), np.concatenate(rows))

    def _call(self, loaded: LoadedStep, batch: Batch) -> Output:
        arguments = dict(loaded.arguments)
        if loaded.step.table is not None:
            arguments["state"] = self.tables[loaded.step.table.name]
        return loaded.step.agent(batch, **arguments)

    def _collect(
        self,
        loaded: LoadedStep,
        batch: Batch,
        output: Output,
        results: Results,
        available: dict[str, Part],
    ) -> None:
        step = loaded.step
        results.records_in[step.name] += len(batch)
        self._count(step, output.counts)
        results.dead.extend(_dead(step, batch, dead) for dead in output.dead)
        declared = {topic.name for topic in step.writes}
        for name, records in output.records.items():
            if name not in declared:
                raise InvariantError(
                    f"step {step.name} wrote to {name}, which its topology does not declare; "
                    f"it declares {', '.join(sorted(declared)) or 'nothing'}"
                )
            if records.num_rows == 0:
                continue
            causes = output.causes.get(name)
            headers = _headers_of(batch, causes)
            stamps_ms = _stamps_of(batch, causes, records.num_rows)
            draft = Draft(step.name, records, loaded.codecs[name], headers, stamps_ms)
            results.drafts.append(draft)
            results.records_out[step.name] += records.num_rows
            available[name] = _internal_part(draft, self._partition, stamps_ms)

    def _count(self, step: Step, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            if count:
                self.counts[f"{step.name}.{name}"] += count


def _headers_of(batch: Batch, causes: IntArray | None) -> list[Headers] | None:
    """Return the headers of the batch rows that caused the output rows, if there are any."""
    if causes is None or all(part.headers is None for part in batch.parts):
        return None
    found: list[Headers] = []
    for row in causes.tolist():
        part = batch.parts[batch.order_parts[row]]
        found.append(part.headers[int(batch.order_rows[row])] if part.headers is not None else ())
    return found


def _stamps_of(batch: Batch, causes: IntArray | None, count: int) -> IntArray:
    """Return when the batch rows that caused the output rows came; the latest if it is not said."""
    if causes is None:
        latest = max(int(part.timestamps_ms.max()) for part in batch.parts if len(part))
        return np.full(count, latest, np.int64)
    if len(batch.parts) == 1:
        return batch.parts[0].timestamps_ms[batch.order_rows[causes]]
    starts = np.cumsum([0, *(len(part) for part in batch.parts)])
    stamps_ms = np.concatenate([part.timestamps_ms for part in batch.parts])
    found: IntArray = stamps_ms[starts[batch.order_parts[causes]] + batch.order_rows[causes]]
    return found


def _internal_part(draft: Draft, partition: int, stamps_ms: IntArray) -> Part:
    """Return what a step wrote as the next step of the chain reads it; it has no offsets yet."""
    return Part(
        draft.topic,
        partition,
        draft.records,
        DraftColumn(draft, "values"),
        DraftColumn(draft, "keys"),
        np.full(draft.records.num_rows, -1, np.int64),
        stamps_ms,
        draft.headers,
    )


def _dead(step: Step, batch: Batch, dead: DeadRow) -> Dead:
    return Dead.of(step.name, batch.parts[dead.part], dead.row, dead.cause, dead.detail)


def tables_of(run: Sequence[Step]) -> list[Table]:
    """Return the tables of these steps and of their merges."""
    tables = [step.table for step in run if step.table is not None]
    return [*tables, *(merge_table(step.name) for step in run if step.merge)]


def outer_topics(run: Sequence[Step]) -> list[str]:
    """Return the topics a run reads from Kafka: all but those its own steps hand on."""
    names: list[str] = []
    written: set[str] = set()
    for step in run:
        names += [t.name for t in step.reads if t.name not in written and t.name not in names]
        written |= {topic.name for topic in step.writes}
    return names


def topics_aside(run: Sequence[Step]) -> list[str]:
    """Return the topics that whoever takes a task over reads before its stream.

    They say what holds for it: rows, and what operators said. A halt that was said while nobody had
    the task must be known before the orders that waited meanwhile.
    """
    return [topic.name for step in run for topic in step.reads if topic.is_aside]


def is_exactly_once(run: Sequence[Step]) -> bool:
    """Say whether steps that share a task commit in transactions: all do if one asks for it."""
    return any(step.processing_guarantee == "exactly_once" for step in run)


def fused(steps: Sequence[Step]) -> list[list[Step]]:
    """Return the steps in runs that can share a task: each reads by the key the run reads by.

    A step that merges begins a run: what a merge holds back is read again by its offset in a log.
    """
    runs: list[list[Step]] = []
    for step in steps:
        previous = {topic.name for s in runs[-1] for topic in s.writes} if runs else set()
        joins = any(topic.name in previous for topic in step.reads)
        if joins and not step.merge and _partition_key(step) == _partition_key(runs[-1][0]):
            runs[-1].append(step)
        else:
            runs.append([step])
    return runs


def _partition_key(step: Step) -> tuple[tuple[str, ...], int]:
    topic = step.reads[0]
    return topic.partition_key, topic.partitions
