"""Whatever is cut, aborted, killed or moved, what a chain has committed is each record once.

The log is a fake: a list of transactions that count or do not. Everything between it and the agent
is the real thing: processor, tasks, checkpoints, stores on disk, the changelog's tail.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headrace.avro.schema import AvroSchema, parse_schema
from headrace.avro.wire import Decoder
from headrace.batch import Batch, Headers, Output, Part
from headrace.errors import AbortedError
from headrace.kafka.fetched import Offsets, RawPart
from headrace.kafka.offsets import GroupMetadata
from headrace.runtime.chain import LoadedStep
from headrace.runtime.committer import AtLeastOnce, Committer, ExactlyOnce
from headrace.runtime.emission import TopicCodec
from headrace.runtime.gaps import GapWatch
from headrace.runtime.processor import ChainProcessor
from headrace.runtime.stats import Stats
from headrace.runtime.task import Task
from headrace.state.changelog import Changelog, ChangelogTail
from headrace.state.store import Checkpoint, Store
from headrace.state.tables import RowState, RowTable, layouts_of
from headrace.topology import Step, Topic
from tests.examples import examples

INPUT, OUTPUT, CHANGELOG = "test.number.v1", "test.count.v1", "test.changelog"
SUM_BY_KEY = RowTable("number.sum_by_key.v1", np.dtype([("count", np.int64), ("sum", np.int64)]))
RECORDS_MAX = 400
KEYS = 3


def schema(*fields: str) -> AvroSchema:
    columns = ",".join(f'{{"name":"{name}","type":"long"}}' for name in fields)
    return parse_schema(f'{{"type":"record","name":"Row","fields":[{columns}]}}', "test")


CODECS = {
    INPUT: TopicCodec(Topic(INPUT, "number", ("key",), partitions=1), schema("key", "number"), 1),
    OUTPUT: TopicCodec(
        Topic(OUTPUT, "count", ("key",), partitions=1), schema("key", "count", "sum"), 2
    ),
}


def running_sum(batch: Batch, state: RowState) -> Output:
    """Return count and sum of each key after each record."""
    keys = batch.records.column("key").to_pylist()
    rows = state.index_of([str(key) for key in keys])
    found = []
    for row, number in zip(rows.tolist(), batch.records.column("number").to_pylist(), strict=True):
        state.rows[row]["count"] += 1
        state.rows[row]["sum"] += number
        found.append((int(state.rows[row]["count"]), int(state.rows[row]["sum"])))
    counts, sums = zip(*found, strict=True)
    return Output({OUTPUT: pa.record_batch({"key": keys, "count": counts, "sum": sums})})


STEP = Step(
    "sums",
    running_sum,
    reads=(CODECS[INPUT].topic,),
    writes=(CODECS[OUTPUT].topic,),
    table=SUM_BY_KEY,
)


class FakeLog:
    """Two topics; what a producer sends counts only when its transaction does."""

    def __init__(self) -> None:
        self.outputs: list[bytes] = []
        self.changelogs: dict[int, list[tuple[bytes, bytes]]] = {0: [], 1: []}
        self.owner = ""

    def tail(self, partition: int, start: int) -> RawPart:
        rows = self.changelogs[partition][start:]
        offsets = np.arange(start, start + len(rows))
        keys, values = [key for key, _ in rows], [value for _, value in rows]
        return RawPart(CHANGELOG, partition, values, keys, offsets, offsets)

    def last_offsets(self, partition: int) -> dict[str, int]:
        _, value = self.changelogs[partition][-1]
        return msgspec.json.decode(value, type=Checkpoint).offsets


class FakeProducer:
    """Commits as the real one does: refused once another owner is there, or when told to fail."""

    def __init__(self, log: FakeLog, owner: str) -> None:
        self._log = log
        self._owner = owner
        self._open: list[tuple[str, int, bytes, bytes]] = []
        self.fails_next = False

    def send(
        self,
        topic: str,
        values: Sequence[bytes],
        keys: Sequence[bytes],
        *,
        partition: int | None = None,
        partitions: Sequence[int] | None = None,  # noqa: ARG002 (the producer's)
        headers: Sequence[Headers] | None = None,  # noqa: ARG002 (the producer's)
        is_followed: bool = False,  # noqa: ARG002 (the producer's)
    ) -> None:
        chosen = partition or 0
        self._open += [(topic, chosen, key, v) for key, v in zip(keys, values, strict=True)]

    def push(self) -> None:
        """Everything is sent at once."""

    def flush(self) -> None:
        """Everything is sent at once."""

    def commit(self, offsets: Offsets, group: GroupMetadata) -> None:  # noqa: ARG002 (as above)
        failed, self.fails_next = self.fails_next, False
        if failed or self._log.owner != self._owner:
            self.abort()
            raise AbortedError("told to fail" if failed else "the group does not know this member")
        for topic, partition, key, value in self._open:
            if topic == OUTPUT:
                self._log.outputs.append(value)
            else:
                self._log.changelogs[partition].append((key, value))
        self._open.clear()

    def abort(self) -> None:
        self._open.clear()


class FakeRestorer:
    """Brings a store up to date from the fake log."""

    def __init__(self, log: FakeLog, folder: Path) -> None:
        self._log = log
        self._folder = folder

    def restore(self, partition: int, is_lost: Callable[[], bool]) -> tuple[Store, Checkpoint]:  # noqa: ARG002
        tail = ChangelogTail(Store(self._folder / str(partition)))
        tail.apply(self._log.tail(partition, tail.position))
        tail.flush()
        return tail.store, tail.checkpoint or Checkpoint()

    def close(self) -> None:
        """Nothing is held."""


def chain_processor(
    log: FakeLog,
    producer: FakeProducer,
    owner: str,
    folder: Path,
    committer_of: Callable[[Any, Changelog], Committer] = ExactlyOnce,
) -> ChainProcessor:
    return ChainProcessor(
        [LoadedStep(STEP, CODECS)],
        producer=producer,  # type: ignore[arg-type]  # a fake
        committer=committer_of(producer, Changelog(CHANGELOG, producer)),  # type: ignore[arg-type]
        restorer=FakeRestorer(log, folder),  # type: ignore[arg-type]  # a fake
        changelog_end=lambda _: 0,
        gaps=GapWatch(lambda places: dict.fromkeys(places, 0)),
        owner=owner,
        layouts=layouts_of([SUM_BY_KEY]),
        stats=Stats(),
    )


class Owner:
    """A worker that has the partition, or believes so."""

    def __init__(self, log: FakeLog, name: str, folder: Path) -> None:
        self.name = name
        self.producer = FakeProducer(log, name)
        self.position = 0
        self.processor = chain_processor(log, self.producer, name, folder)
        log.owner = name
        restored: Task = self.processor.restore(0, lambda: False)
        starts = self.processor.adopt(0, restored, None)
        assert starts is not None
        self.position = starts.get((INPUT, 0), 0)


class ExactlyOnceMachine(RuleBasedStateMachine):
    """Owners come and go on two disks; one of them may not know yet that it has been replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="headrace-")
        self.log = FakeLog()
        self.owners = 0
        self.zombie: Owner | None = None

    @initialize(numbers=st.lists(st.integers(-9, 9), min_size=1, max_size=RECORDS_MAX))
    def begin(self, numbers: list[int]) -> None:
        self.input = [(place % KEYS, number) for place, number in enumerate(numbers)]
        self.owner = self.new_owner(disk=0)

    def new_owner(self, disk: int) -> Owner:
        self.owners += 1
        return Owner(self.log, f"owner-{self.owners}", Path(self.folder.name) / f"disk-{disk}")

    def read(self, owner: Owner, count: int) -> None:
        rows = self.input[owner.position : owner.position + count]
        if not rows:
            return
        offsets = np.arange(owner.position, owner.position + len(rows))
        keys, numbers = zip(*rows, strict=True)
        records = pa.record_batch({"key": keys, "number": numbers})
        nothing = [b""] * len(rows)
        part = Part(INPUT, 0, records, nothing, nothing, offsets, np.zeros(len(rows), np.int64))
        owner.position += len(rows)
        owner.processor.process([part], [], {(INPUT, 0): owner.position})

    def commit(self, owner: Owner) -> None:
        try:
            owner.processor.commit(None)
        except AbortedError:
            owner.position = owner.processor.rollback().get((INPUT, 0), 0)

    @rule(count=st.integers(1, 60))
    def process(self, count: int) -> None:
        self.read(self.owner, count)

    @rule()
    def commit_what_was_done(self) -> None:
        self.commit(self.owner)

    @rule()
    def abort_the_commit(self) -> None:
        self.owner.producer.fails_next = True
        self.commit(self.owner)
        self.owner.producer.fails_next = False  # where there was nothing to commit

    @rule(disk=st.integers(0, 1))
    def kill(self, disk: int) -> None:
        if self.zombie is not None:  # two owners on one disk is what its lock forbids
            self.zombie.processor.close()
            self.zombie = None
        self.owner.producer.abort()
        self.owner.processor.close()
        self.owner = self.new_owner(disk)

    @rule(disk=st.integers(0, 1))
    def move(self, disk: int) -> None:
        self.owner.processor.release([0], None)
        self.kill(disk)

    @precondition(lambda self: self.zombie is None)
    @rule()
    def replace_unnoticed(self) -> None:
        self.zombie, self.owner = self.owner, self.new_owner(disk=2 + self.owners)

    @precondition(lambda self: self.zombie is not None)
    @rule(count=st.integers(1, 20))
    def the_replaced_one_goes_on(self, count: int) -> None:
        assert self.zombie is not None
        self.read(self.zombie, count)
        self.commit(self.zombie)

    @invariant()
    def what_counts_is_each_record_once_in_order(self) -> None:
        if not hasattr(self, "owner"):
            return
        expected = []
        totals: dict[int, tuple[int, int]] = {}
        for key, number in self.input[: len(self.log.outputs)]:
            count, total = totals.get(key, (0, 0))
            totals[key] = (count + 1, total + number)
            expected.append({"key": key, "count": count + 1, "sum": total + number})
        assert decoded(self.log.outputs) == expected

    def teardown(self) -> None:
        try:
            if hasattr(self, "owner"):
                self.read(self.owner, RECORDS_MAX)
                self.commit(self.owner)
                assert len(self.log.outputs) == len(self.input)
        finally:
            for owner in (getattr(self, "owner", None), self.zombie):
                if owner is not None:
                    owner.processor.close()
            self.folder.cleanup()


def decoded(values: list[bytes]) -> list[dict[str, int]]:
    rows: list[dict[str, int]] = (
        Decoder(CODECS[OUTPUT].schema, lambda _: CODECS[OUTPUT].schema)
        .decode(values)
        .records.to_pylist()
    )
    return rows


ExactlyOnceMachine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30)
test_a_chain_commits_each_record_once = ExactlyOnceMachine.TestCase


class Pair:
    """One worker with two partitions of one log: what it commits of one may be all it has sent."""

    def __init__(
        self, folder: Path, committer_of: Callable[[Any, Changelog], Committer] = ExactlyOnce
    ) -> None:
        self.log = FakeLog()
        self.log.owner = "owner"
        self.producer = FakeProducer(self.log, "owner")
        self.processor = chain_processor(self.log, self.producer, "owner", folder, committer_of)

    def adopt(self, partition: int) -> None:
        self.processor.adopt(partition, self.processor.restore(partition, lambda: False), None)

    def process(self, count: int) -> None:
        """Read `count` records of partition 0, from its start."""
        records = pa.record_batch({"key": [0] * count, "number": [1] * count})
        nothing = [b""] * count
        part = Part(
            INPUT, 0, records, nothing, nothing, np.arange(count), np.zeros(count, np.int64)
        )
        self.processor.process([part], [], {(INPUT, 0): count})


def test_a_partition_that_comes_commits_others_work_with_its_offsets(tmp_path: Path) -> None:
    worker = Pair(tmp_path)
    worker.adopt(0)
    worker.process(5)

    worker.adopt(1)

    assert len(worker.log.outputs) == 5
    assert worker.log.last_offsets(0) == {INPUT: 5}


def test_a_refused_claim_takes_others_work_back(tmp_path: Path) -> None:
    worker = Pair(tmp_path)
    worker.adopt(0)
    worker.process(5)
    worker.producer.fails_next = True

    with pytest.raises(AbortedError):
        worker.adopt(1)

    assert worker.processor.rollback() == {}
    worker.process(5)
    worker.processor.commit(None)
    assert [row["count"] for row in decoded(worker.log.outputs)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("committer_of", "untold"), [(ExactlyOnce, {}), (AtLeastOnce, {(INPUT, 0): 5})]
)
def test_the_group_is_told_once_how_far_a_commit_has_come(
    committer_of: Callable[[Any, Changelog], Committer], untold: Offsets, tmp_path: Path
) -> None:
    """What a transaction has told it is not told again: late, that would undo the next commit's."""
    worker = Pair(tmp_path, committer_of)
    worker.adopt(0)
    worker.process(5)

    assert worker.processor.commit(None) == untold
