"""A topology, or one step, in a test: records in, records out, no Kafka (docs/testing.md)."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace import limits
from headrace.batch import Part
from headrace.byte_column import ByteColumn
from headrace.errors import FeedError, UsageError
from headrace.feed import Feed, FeedOptions
from headrace.kafka.partitioner import partitions_of
from headrace.local.graph import LocalGraph
from headrace.local.kept import KeptLetters, KeptTopic, letters_table, table_of
from headrace.local.loading import load_codecs, load_steps, same_id
from headrace.local.replay import replay
from headrace.local.rows import Rows, records_of
from headrace.local.savepoint import Savepoint
from headrace.local.task import StepWork, Watch
from headrace.project import Project
from headrace.runtime.chain import Dead
from headrace.runtime.emission import Emission, emission_of, in_every_partition
from headrace.runtime.loading import SchemaIds
from headrace.topology import Source, Step, Topic, Topology

__all__ = ["TestDriver"]

OUTSIDE = "test"
"""Who writes what is piped in."""


class TestDriver:
    """Runs a topology in this process: the same agents, bytes, partitions and state as on Kafka.

    Everything is deterministic, and time stands still but for `feed` and `advance`. Each call
    commits what it did, unless it is told not to; `read` shows what counts.
    """

    __test__ = False  # pytest: its name says what it is for, not that it is a test

    def __init__(
        self,
        topology: str | Topology | Step,
        *,
        project: Path | Project | str = ".",
        keep: Collection[str] | None = None,
        fuse: bool = True,
        schema_ids: SchemaIds = same_id,
        batch_records: int = limits.BATCH_RECORDS_MAX,
        run_ahead_ms: int = limits.LOCAL_RUN_AHEAD_MS,
        start_ns: int = 0,
    ) -> None:
        """Drive a topology of a project by name, or one at hand, or a single step.

        `keep` names the topics that are kept to be read, all of them if it is None. `schema_ids`
        gives the ids that values carry. `batch_records` is the most an agent is given at once of
        what is piped in. `start_ns` is what time it is, UTC.
        """
        self._project = project if isinstance(project, Project) else Project(Path(project))
        self.topology = _topology(topology, self._project)
        self._batch_records = batch_records
        self._codecs = load_codecs(self._project.schemas, self.topology.topics, schema_ids)
        kept = [*self._codecs] if keep is None else [self._known(topic) for topic in keep]
        self._kept = {topic: KeptTopic() for topic in kept}
        self._letters: dict[str, KeptLetters] = defaultdict(KeptLetters)
        watch = Watch(parts={name: one.add for name, one in self._kept.items()}, dead=self._bury)
        steps = load_steps(self._project, self.topology.steps, self._codecs)
        self._graph = LocalGraph(steps, self._codecs, watch, fuse=fuse, run_ahead_ms=run_ahead_ms)
        self._graph.clock_ms = start_ns // 1_000_000
        self._saved = Savepoint()
        self._unread: list[Emission] = []
        self._is_down = False

    # What comes in.

    def pipe(
        self,
        topic: str | Topic,
        rows: Rows,
        *,
        time_ns: int | None = None,
        commit: bool = True,
    ) -> None:
        """Write records to a topic, and run until nothing is left to do.

        Those of a reference topic go to every partition, as `headrace reference load` has it.
        `rows` are a row or rows by field name, a RecordBatch, a Table or a DataFrame. They are
        given to agents together, at most `batch_records` at once. `time_ns` is when they come.
        Raises:  UsageError if they are not of the topic's schema.
        """
        codec = self._codecs[self._known(topic)]
        records = records_of(rows, codec.schema)
        for start in range(0, records.num_rows, self._batch_records):
            batch = records.slice(start, self._batch_records)
            written = emission_of(OUTSIDE, batch, codec, None)
            is_for_all = codec.topic.reference
            for each in in_every_partition(written, codec.topic) if is_for_all else [written]:
                self._take_in(each, time_ns)
        self._settle(commit=commit)

    def remove(
        self,
        topic: str | Topic,
        keys: Collection[str],
        *,
        time_ns: int | None = None,
        commit: bool = True,
    ) -> None:
        """Write that the rows of these keys are gone from a reference topic, to every partition.

        Raises:  UsageError if it is no reference topic.
        """
        found = self._codecs[self._known(topic)].topic
        if not found.reference:
            raise UsageError(
                f"topic {found.name}: expected a reference topic to remove rows from, found "
                "another; set Topic(reference=True)"
            )
        texts = ByteColumn(pa.array([key.encode() for key in keys], pa.binary()))
        gone = ByteColumn(pa.nulls(len(keys), pa.binary()))
        nowhere = np.zeros(len(keys), np.int64)
        written = Emission(OUTSIDE, found.name, gone, texts, nowhere, None)
        for each in in_every_partition(written, found):
            self._take_in(each, time_ns)
        self._settle(commit=commit)

    def pipe_bytes(
        self,
        topic: str | Topic,
        values: Collection[bytes],
        *,
        key: bytes = b"",
        time_ns: int | None = None,
        commit: bool = True,
    ) -> None:
        """Write values as they are, framed or not, under one key: what others may have written."""
        codec = self._codecs[self._known(topic)]
        keys = ByteColumn(pa.array([key] * len(values), pa.binary()))
        found = ByteColumn(pa.array(list(values), pa.binary()))
        partitions = partitions_of(keys, codec.topic.partitions)
        self._take_in(Emission(OUTSIDE, codec.topic.name, found, keys, partitions, None), time_ns)
        self._settle(commit=commit)

    def say(
        self, control: str, options: Mapping[str, str] | None = None, *, commit: bool = True
    ) -> None:
        """Say a control of the topology, as `headrace control` does, at the time it is here.

        Raises:  UsageError or TopologyError for what cannot be said.
        """
        spoken = self.topology.control(control)
        options = options or {}
        record = spoken.record(options, self.now_ns)
        codec = self._codecs[spoken.topic.name]
        word = emission_of(OUTSIDE, records_of(record, codec.schema), codec, None)
        is_for_one = spoken.address in options
        for each in [word] if is_for_one else in_every_partition(word, spoken.topic):
            self._take_in(each, None)
        self._settle(commit=commit)

    def feed(
        self,
        feed: str | Feed,
        *,
        options: FeedOptions | None = None,
        batch_records: int | None = limits.BATCH_RECORDS_MAX,
    ) -> int:
        """Run a feed to its end, by its text as `headrace up --feed` has it; return its frames.

        Time follows the frames' receive time. `batch_records` frames make a batch; as
        the feed has them if it is None.
        Raises:  FeedError if the feed cannot be opened.
        """
        self._require_up()
        source = self.topology.source
        if isinstance(feed, str):
            feed = source.open(feed, FeedOptions() if options is None else options)
        before = self._graph.records[source.topic.name]
        for _ in replay(feed, self._graph, self._codecs[source.topic.name], batch_records):
            pass
        self.commit()
        return self._graph.records[source.topic.name] - before

    def advance(self, seconds: float, *, commit: bool = True) -> None:
        """Let time pass: merges give up what they waited for too long."""
        self._require_up()
        self._graph.idle(self._graph.clock_ms + round(seconds * 1_000))
        self._settle(commit=commit)

    # What comes out.

    def read(self, topic: str | Topic, *, places: bool = False) -> pa.Table:
        """Return the records of a topic since the last read, in the order they were written.

        `places` puts `kafka_partition`, `kafka_offset` and `kafka_time_ms` before their fields.
        """
        name = self._known(topic)
        return table_of(self.read_parts(topic), self._codecs[name].schema.arrow, places=places)

    def read_parts(self, topic: str | Topic) -> list[Part]:
        """Return the same as parts, each of one partition, with keys and values as bytes."""
        name = self._known(topic)
        if name not in self._kept:
            raise UsageError(
                f"topic {name}: expected one that is kept, which are "
                f"{', '.join(self._kept) or 'none'}; name it in TestDriver(keep=…)"
            )
        return self._kept[name].take()

    def dead(self, topic: str | Topic) -> pa.Table:
        """Return the dead letters of a topic's records since the last call: where, why, bytes."""
        return letters_table(self._letters[self._known(topic)].take())

    def table(self, step: str) -> dict[str, Any]:
        """Return what a step remembers now, by key: its objects, or its rows of numpy.

        They are the agent's own: look, and change nothing.
        """
        chosen = self.topology.step(step)
        if chosen.table is None:
            raise UsageError(f"step {step}: expected one with a table, found none")
        found: dict[str, Any] = {}
        for task in self._graph.tasks_of(step):
            state = task.chain.tables[chosen.table.name]
            found |= {key: state.read(key) for key in state}
        return found

    @property
    def counts(self) -> Counter[str]:
        """Return the named counters of all steps, as `step.name`."""
        return self._graph.counts()

    @property
    def records(self) -> Counter[str]:
        """Return how many records each topic has."""
        return Counter(self._graph.records)

    @property
    def work(self) -> Mapping[str, StepWork]:
        """Return what each step has done so far, also what was taken back since."""
        return {name: replace(work) for name, work in self._graph.work.items()}

    @property
    def now_ns(self) -> int:
        """Return what time it is here."""
        return self._graph.clock_ms * 1_000_000

    # What counts.

    def commit(self) -> None:
        """Make all that was processed count: outputs, state, and what was read."""
        self._require_up()
        self._saved.take(self._graph)
        self._unread.clear()
        for kept in self._all_kept():
            kept.commit()

    def crash(self) -> None:
        """Lose whatever is not committed, as a process that is killed; `restore` comes next."""
        self._is_down = True
        self._graph.tasks.clear()
        for kept in self._all_kept():
            kept.abort()

    def restore(self, *, commit: bool = True) -> None:
        """Come back: state from the tables' pages; what was not committed is read again."""
        self._saved.restore(self._graph)
        self._is_down = False
        for emission in self._unread:
            self._graph.write(emission)
        self._settle(commit=commit)

    def _take_in(self, emission: Emission, time_ns: int | None) -> None:
        stamp_ms = self._graph.clock_ms if time_ns is None else time_ns // 1_000_000
        stamps_ms = np.full(len(emission.values), stamp_ms, np.int64)
        emission = replace(emission, timestamps_ms=stamps_ms)
        self._unread.append(emission)
        if not self._is_down:
            self._graph.write(emission)
            self._graph.settle()

    def _settle(self, *, commit: bool) -> None:
        if self._is_down:
            return
        self._graph.settle()
        if commit:
            self.commit()

    def _all_kept(self) -> list[KeptTopic | KeptLetters]:
        return [*self._kept.values(), *self._letters.values()]

    def _bury(self, letter: Dead) -> None:
        self._letters[letter.topic].add(letter)

    def _known(self, topic: str | Topic) -> str:
        name = topic.name if isinstance(topic, Topic) else topic
        if name not in self._codecs:
            raise UsageError(
                f"topology {self.topology.name} has no topic {name!r}; it has "
                f"{', '.join(self._codecs)}"
            )
        return name

    def _require_up(self) -> None:
        if self._is_down:
            raise UsageError("the driver has crashed: expected restore() first")


def _topology(given: str | Topology | Step, project: Project) -> Topology:
    if isinstance(given, Topology):
        return given
    if isinstance(given, Step):
        return Topology(given.name, Source(given.reads[0], _no_feed, ()), (given,))
    return project.topology(given)


def _no_feed(text: str, options: FeedOptions) -> Feed:  # noqa: ARG001  (what a Source opens)
    raise FeedError(f"feed {text!r}: a single step has none; pipe() records into what it reads")
