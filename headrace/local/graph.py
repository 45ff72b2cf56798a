"""All chains of a topology in one thread: what one writes goes to those that read it.

The order is fixed, and a function of the records alone (docs/testing.md):

1. Runs that see one order take all that waits, in flow order, until nothing does.
2. Then the run with the earliest record among those that are led through time takes what is of
   that millisecond; in flow order where several have such a record. It runs ahead over records of
   one topic while no other has any, to the end of `run_ahead_ms` at most, unless it reads itself:
   so far an answer to what it writes meanwhile may come late.
3. So on from 1, until nothing is left before the given time.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from headrace import limits
from headrace.avro.wire import Decoder
from headrace.batch import Part
from headrace.errors import InvariantError
from headrace.kafka.fetched import RawPart
from headrace.local.inbox import Inbox
from headrace.local.interleave import in_order_of_time
from headrace.local.task import LocalTask, StepWork, Watch
from headrace.local.timing import reads_itself, timed_runs
from headrace.runtime.chain import Chain, Dead, LoadedStep, fused, outer_topics
from headrace.runtime.decoding import decode_part
from headrace.runtime.emission import Emission, TopicCodec
from headrace.runtime.merge import ReadOut


class LocalGraph:
    """The chains of these steps over every partition of their topics."""

    def __init__(
        self,
        steps: Mapping[str, LoadedStep],
        codecs: Mapping[str, TopicCodec],
        watch: Watch | None = None,
        *,
        fuse: bool = True,
        run_ahead_ms: int = limits.LOCAL_RUN_AHEAD_MS,
    ) -> None:
        """Run the steps in their order, fused or one by one.

        `run_ahead_ms` 1 leads every run of a loop through each millisecond that has a record.
        """
        self.watch = Watch() if watch is None else watch
        self.work: dict[str, StepWork] = {name: StepWork() for name in steps}
        self.records: Counter[str] = Counter()
        self.clock_ms = 0
        self._run_ahead_ms = max(1, run_ahead_ms)
        self._codecs = codecs
        self._decoders = {name: _decoder(codec) for name, codec in codecs.items()}
        order = [loaded.step for loaded in steps.values()]
        runs = fused(order) if fuse else [[step] for step in order]
        self._runs = [[steps[step.name] for step in run] for run in runs]
        self._inputs = [outer_topics(run) for run in runs]
        self._timed = timed_runs(runs)
        self._selfish = [reads_itself(run) for run in runs]
        self._readers: dict[str, list[int]] = {}
        for number, topics in enumerate(self._inputs):
            for topic in topics:
                self._readers.setdefault(topic, []).append(number)
        self.tasks: dict[tuple[int, int], LocalTask] = {}
        self.offsets: Counter[tuple[str, int]] = Counter()

    # What comes in, and what becomes of it.

    def write(self, emission: Emission) -> None:
        """Take in records from outside; nothing is processed before `settle`."""
        stamps_ms = emission.timestamps_ms
        if stamps_ms is not None and len(stamps_ms):
            self.clock_ms = max(self.clock_ms, int(stamps_ms.max()))
        self._route(emission)

    def settle(self, before_ms: int | None = None) -> None:
        """Process until nothing is left, or nothing before this time for runs led through time.

        Raises:  InvariantError if a loop never comes to rest.
        """
        if before_ms is not None:
            before_ms = before_ms // self._run_ahead_ms * self._run_ahead_ms
        at_ms, calls = -1, 0
        while True:
            self._settle_untimed()
            task, first_ms = self._earliest()
            if task is None:
                return
            if before_ms is not None and first_ms >= before_ms and not self._is_full():
                return
            calls = calls + 1 if first_ms == at_ms else 1
            at_ms = first_ms
            if calls > limits.LOCAL_CALLS_MAX_AT_ONCE:
                names = "+".join(loaded.step.name for loaded in self._runs[task.run])
                raise InvariantError(
                    f"steps {names}: expected a loop that comes to rest, found more than "
                    f"{limits.LOCAL_CALLS_MAX_AT_ONCE} calls at {first_ms} ms; each record that "
                    "comes back must cause fewer, in the end none"
                )
            self._process(task, task.inbox.take(self._until_ms(task, first_ms)))

    def idle(self, clock_ms: int) -> None:
        """Let time pass: merges may give a lost record up."""
        self.clock_ms = max(self.clock_ms, clock_ms)
        for task in list(self.tasks.values()):
            if task.chain.held_records():
                self._process(task, [])
        self.settle()

    # What is known of it.

    def counts(self) -> Counter[str]:
        """Return the named counters of all steps, as `step.name`."""
        total: Counter[str] = Counter()
        for task in self.tasks.values():
            total.update(task.chain.counts)
        return total

    def pending(self) -> int:
        """Return how many records wait for their time."""
        return sum(task.inbox.records for task in self.tasks.values())

    def new_chain(self, run: int, partition: int) -> Chain:
        """Return a chain with empty state."""
        return Chain(self._runs[run], partition)

    def tasks_of(self, step: str) -> Iterator[LocalTask]:
        """Yield the tasks that a step is part of, by partition."""
        for key in sorted(self.tasks):
            if any(loaded.step.name == step for loaded in self._runs[key[0]]):
                yield self.tasks[key]

    # The order of calls.

    def _settle_untimed(self) -> None:
        while waiting := self._waiting(is_timed=False):
            # One task after the other would put all of one partition before all of the next.
            written: dict[str, list[Emission]] = {}
            for task in waiting:
                if task.run == waiting[0].run:
                    for emission in self._call(task, task.inbox.take()):
                        written.setdefault(emission.topic, []).append(emission)
            for emissions in written.values():
                self._route(in_order_of_time(emissions))

    def _earliest(self) -> tuple[LocalTask | None, int]:
        found: LocalTask | None = None
        earliest_ms = 0
        for task in self._waiting(is_timed=True):
            first_ms = task.inbox.first_ms()
            if first_ms is not None and (found is None or first_ms < earliest_ms):
                found, earliest_ms = task, first_ms
        return found, earliest_ms

    def _until_ms(self, task: LocalTask, first_ms: int) -> int:
        """Return before which time a task takes what waits for it."""
        heads_ms = task.inbox.heads_ms()
        if task.reads_itself or list(heads_ms.values()).count(first_ms) > 1:
            return first_ms + 1
        ends_ms = [(first_ms // self._run_ahead_ms + 1) * self._run_ahead_ms]
        ends_ms += [head_ms for head_ms in heads_ms.values() if head_ms != first_ms]
        for other in self._waiting(is_timed=True):
            other_ms = other.inbox.first_ms()
            if other is not task and other_ms is not None:
                ends_ms.append(other_ms)
        return max(first_ms + 1, min(ends_ms))

    def _waiting(self, *, is_timed: bool) -> list[LocalTask]:
        """Return the tasks for which something waits, in flow order, then by partition."""
        found = [t for t in self.tasks.values() if t.inbox.records and t.is_timed == is_timed]
        return sorted(found, key=lambda task: (task.run, task.partition))

    def _is_full(self) -> bool:
        return self.pending() > limits.LOCAL_PENDING_RECORDS_MAX

    # One call.

    def _process(self, task: LocalTask, parts: Sequence[Part]) -> None:
        for emission in self._call(task, parts):
            self._route(emission)

    def _call(self, task: LocalTask, parts: Sequence[Part]) -> Sequence[Emission]:
        now_s = self.clock_ms / 1_000
        read_out = ReadOut(now_s, frozenset(self._inputs[task.run]) - task.inbox.heads_ms().keys())
        results = task.chain.process(parts, now_s, read_out)
        for name, records in results.records_in.items():
            work = self.work[name]
            work.records_in += records
            work.records_out += results.records_out[name]
            work.busy_ns += results.busy_ns[name]
        self._bury(results.dead)
        return [draft.emission for draft in results.drafts]

    def _route(self, emission: Emission) -> None:
        """Append what was written to the logs of its partitions, and hand it to their readers."""
        count = len(emission.values)
        if not count:
            return
        self.records[emission.topic] += count
        stamps_ms = emission.timestamps_ms
        if stamps_ms is None:
            stamps_ms = np.full(count, self.clock_ms, np.int64)
        written = RawPart(
            emission.topic,
            0,
            emission.values,
            emission.keys,
            np.zeros(count, np.int64),
            stamps_ms,
            emission.headers,
        )
        numbers = np.unique(emission.partitions).tolist()
        for number in numbers:
            rows = np.flatnonzero(emission.partitions == number)
            self._append(written if len(numbers) == 1 else written.take(rows), number)

    def _append(self, written: RawPart, partition: int) -> None:
        """Append records to the log of a partition, and hand them to its readers."""
        topic, count = written.topic, len(written.values)
        first = self.offsets[topic, partition]
        self.offsets[topic, partition] += count
        if self.watch.values is not None:
            self.watch.values(topic, partition, written.values)
        watcher, readers = self.watch.parts.get(topic), self._readers.get(topic, ())
        if watcher is None and not readers:
            return
        read = replace(written, partition=partition, offsets=np.arange(first, first + count))
        part, bad = decode_part(read, self._decoders[topic])
        for run in readers:
            owner = self._runs[run][0].step.name
            counts = self.task(run, partition).chain.counts if bad else {}
            for value in bad:
                counts[f"{owner}.dead_{value.cause}"] += 1
                self._bury([Dead.of(owner, read, value.row, value.cause, value.detail)])
        if not len(part):
            return
        if watcher is not None:
            watcher(part)
        for run in readers:
            self.task(run, partition).inbox.add(part)

    def _bury(self, dead: Collection[Dead]) -> None:
        for letter in dead:
            self.work[letter.step].dead_letters += 1
            if self.watch.dead is not None:
                self.watch.dead(letter)

    def task(self, run: int, partition: int) -> LocalTask:
        """Return the task of a run and a partition; a new one where there is none yet."""
        found = self.tasks.get((run, partition))
        if found is None:
            found = self.tasks[run, partition] = LocalTask(
                run,
                partition,
                self.new_chain(run, partition),
                Inbox(self._inputs[run]),
                self._timed[run],
                self._selfish[run],
            )
        return found


def _decoder(codec: TopicCodec) -> Decoder:
    return Decoder(codec.schema, lambda _: codec.schema, keeps_tombstones=codec.topic.reference)
