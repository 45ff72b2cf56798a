"""What a lane of the worker does with the records it reads: run a chain of steps."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog

from headrace.batch import Part
from headrace.errors import UsageError
from headrace.kafka.consumer import Consumer, Offsets
from headrace.kafka.partitioner import partition_of
from headrace.kafka.producer import Producer
from headrace.runtime.chain import Chain, Dead, Emission, LoadedStep, Results
from headrace.runtime.dead_letters import send_dead
from headrace.runtime.stats import Stats
from headrace.state.changelog import END_EVERY_CHECKPOINTS, Changelog
from headrace.state.store import Checkpoint, Store

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Task:
    """One partition of a chain: its steps' state, the disk behind it, and how far it has read."""

    chain: Chain
    store: Store
    checkpoint: Checkpoint
    read_to: dict[str, int] = field(default_factory=dict)
    changelog_end: int = 0
    is_dirty: bool = False


class ChainProcessor:
    """Runs one chain over the partitions this process owns; knows nothing of Faust."""

    def __init__(
        self,
        steps: Sequence[LoadedStep],
        *,
        producer: Producer,
        consumer: Consumer,
        changelog: Changelog,
        state_folder: Path,
        stats: Stats,
    ) -> None:
        self._steps = steps
        self._producer = producer
        self._consumer = consumer
        self._changelog = changelog
        self._folder = state_folder
        self._stats = stats
        self._tasks: dict[int, Task] = {}
        written = {topic.name for loaded in steps for topic in loaded.step.writes}
        self._partitions = {
            name: codec.topic.partitions
            for loaded in steps
            for name, codec in loaded.codecs.items()
            if name in written
        }

    def assigned(self, places: Sequence[tuple[str, int]]) -> Offsets:
        """Restore the tasks of these partitions; return from where to read."""
        starts: Offsets = {}
        for partition in sorted({partition for _, partition in places}):
            task = self._tasks.get(partition)
            if task is None:
                task = self._tasks[partition] = self._open(partition)
            for topic, place in places:
                if place == partition and topic in task.checkpoint.offsets:
                    self._require_in_log(topic, partition, task.checkpoint.offsets[topic])
                    starts[topic, partition] = task.checkpoint.offsets[topic]
        return starts

    def revoked(self, places: Sequence[tuple[str, int]]) -> None:
        """Let go of these partitions; everything of them must be committed."""
        for partition in {partition for _, partition in places}:
            task = self._tasks.pop(partition, None)
            if task is not None:
                task.store.close()

    def process(self, parts: Sequence[Part], dead: Sequence[Dead], read_to: Offsets) -> None:
        """Run the chain on what was read and queue what comes of it."""
        send_dead(self._producer, dead)
        by_partition: dict[int, list[Part]] = {partition: [] for _, partition in read_to}
        for part in parts:
            by_partition[part.partition].append(part)
        for (topic, partition), offset in read_to.items():
            task = self._tasks[partition]
            task.read_to[topic] = offset
            task.is_dirty = True
        for letter in dead:
            self._tasks[letter.partition].chain.counts[f"{letter.step}.dead_{letter.cause}"] += 1
        for partition, mine in by_partition.items():
            self._run(partition, mine)

    def idle(self) -> None:
        """Give merges that wait too long for a lost record the chance to go on without it."""
        for partition, task in self._tasks.items():
            if task.chain.held_records():
                self._run(partition, [])

    def commit(self) -> Offsets:
        """Make all that was processed count: outputs, then state, then offsets.

        Returns the committed offsets. At-least-once: after a crash in between, records are
        processed again from a state that has not seen them. Exactly-once will put the same three
        into one Kafka transaction here.
        """
        dirty = {p: task for p, task in self._tasks.items() if task.is_dirty}
        if not dirty:
            return {}
        for partition, task in dirty.items():
            if task.checkpoint.number % END_EVERY_CHECKPOINTS == 0:
                # Everything in the changelog so far is on disk already.
                task.changelog_end = self._changelog.end(partition)
        changes = {
            p: {name: table.changes() for name, table in task.chain.tables.items()}
            for p, task in dirty.items()
        }
        for partition, pages in changes.items():
            self._changelog.send_pages(partition, pages)
        self._producer.flush()
        offsets: Offsets = {}
        for partition, task in dirty.items():
            task.checkpoint = _next_checkpoint(task)
            self._changelog.send_checkpoint(partition, task.checkpoint)
            task.store.write(changes[partition], task.checkpoint)
            task.is_dirty = False
            offsets |= {(t, partition): o for t, o in task.checkpoint.offsets.items()}
        self._producer.flush()
        self._consumer.commit(offsets)
        return offsets

    def held_records(self) -> dict[tuple[str, int], int]:
        """Return how many records merges hold back, by topic and partition."""
        return {
            (topic, partition): count
            for partition, task in self._tasks.items()
            for topic, count in task.chain.held_records().items()
        }

    def close(self) -> None:
        """Release the tasks' files."""
        for task in self._tasks.values():
            task.store.close()
        self._tasks.clear()
        self._changelog.close()

    def _open(self, partition: int) -> Task:
        store = Store(self._folder / str(partition))
        pages, checkpoint = self._changelog.restore(partition, store)
        chain = Chain(self._steps, partition)
        for name, table in chain.tables.items():
            table.restore(pages.get(name, {}))
        if checkpoint is not None:
            chain.counts.update(checkpoint.counts)
            self._stats.set_counts(self._owner(partition), chain.counts)
        task = Task(chain, store, checkpoint or Checkpoint())
        task.read_to.update(task.checkpoint.offsets)
        return task

    def _run(self, partition: int, parts: Sequence[Part]) -> None:
        task = self._tasks[partition]
        results = task.chain.process(parts, time.monotonic())
        if results.records_in:
            task.is_dirty = True
        send_dead(self._producer, results.dead)
        for emission in results.emissions:
            self._send(emission)
        self._note(partition, task, parts, results)

    def _send(self, emission: Emission) -> None:
        partitions = None
        if emission.partition_keys is not None:
            count = self._partitions[emission.topic]
            chosen = {key: partition_of(key, count) for key in set(emission.partition_keys)}
            partitions = [chosen[key] for key in emission.partition_keys]
        self._producer.send(
            emission.topic,
            emission.values,
            emission.keys,
            partitions=partitions,
            headers=emission.headers,
        )

    def _note(self, partition: int, task: Task, parts: Sequence[Part], results: Results) -> None:
        now_ms = time.time_ns() // 1_000_000
        stamps = [part.timestamps_ms for part in parts if len(part)]
        ages_ms = now_ms - np.concatenate(stamps) if stamps else np.empty(0, np.int64)
        for name, records in results.records_in.items():
            self._stats.add_batch(
                name,
                records_in=records,
                records_out=results.records_out[name],
                dead_letters=sum(1 for letter in results.dead if letter.step == name),
                busy_ns=results.busy_ns[name],
                ages_ms=ages_ms,
            )
        self._stats.set_counts(self._owner(partition), task.chain.counts)

    def _owner(self, partition: int) -> str:
        return f"{self._steps[0].step.name}-{partition}"

    def _require_in_log(self, topic: str, partition: int, offset: int) -> None:
        low, high = self._consumer.bounds(topic, partition)
        if offset > high:
            raise UsageError(
                f"topic {topic}, partition {partition}: the state has read to offset {offset}, but "
                f"the log ends at {high}: the topic was made anew; remove {self._folder} to start "
                "from an empty state"
            )
        if offset < low:
            log.error("records_expired", topic=topic, partition=partition, lost=low - offset)


def _next_checkpoint(task: Task) -> Checkpoint:
    held = task.chain.held_offsets()
    offsets = {topic: min(end, held.get(topic, end)) for topic, end in task.read_to.items()}
    return Checkpoint(
        number=task.checkpoint.number + 1,
        offsets=offsets,
        counts=dict(task.chain.counts),
        changelog_end=max(task.changelog_end, task.checkpoint.changelog_end),
    )
