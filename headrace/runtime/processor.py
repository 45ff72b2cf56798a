"""What a lane of the worker does with the records it reads: run a chain of steps."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import structlog

from headrace import limits
from headrace.batch import Part
from headrace.errors import AbortedError
from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import GroupMetadata
from headrace.kafka.producer import Producer
from headrace.runtime.chain import Dead, LoadedStep, Results
from headrace.runtime.committer import Committer
from headrace.runtime.dead_letters import AS_NAMED, send_dead
from headrace.runtime.draft import Draft, merged
from headrace.runtime.emission import send_emission
from headrace.runtime.gaps import GapWatch
from headrace.runtime.stats import Stats, latency_counts_of
from headrace.runtime.task import Task, open_task, places_of
from headrace.state.restorer import Restorer

log = structlog.get_logger(__name__)

END_EVERY_CHECKPOINTS = 50
"""How often a checkpoint notes where the changelog stands: a restart re-reads no more than that."""


class ChainProcessor:
    """Runs one chain over the partitions this process owns; knows nothing of Faust.

    `restore` and `follow` are called by the restoring thread, all others by the processing thread.
    """

    def __init__(
        self,
        steps: Sequence[LoadedStep],
        *,
        producer: Producer,
        committer: Committer,
        restorer: Restorer,
        changelog_end: Callable[[int], int],
        gaps: GapWatch,
        owner: str,
        layouts: Mapping[str, str],
        stats: Stats,
        dead_topics: Mapping[str, str] = AS_NAMED,
    ) -> None:
        self._steps = steps
        self._producer = producer
        self._committer = committer
        self._restorer = restorer
        self._changelog_end = changelog_end
        self._gaps = gaps
        self._owner = owner
        self._layouts = layouts
        self._stats = stats
        self._dead_topics = dead_topics
        self._tasks: dict[int, Task] = {}

    def restore(self, partition: int, is_lost: Callable[[], bool]) -> Task:
        """Return the task of a partition as its last owner left it, ready to be adopted."""
        store, checkpoint = self._restorer.restore(partition, is_lost)
        return open_task(self._steps, partition, store, checkpoint)

    def stand_by(self, partitions: Collection[int]) -> None:
        """Keep the state of these tasks of other workers warm on this disk."""
        self._restorer.stand_by(set(partitions))

    def follow(self, timeout_s: float) -> None:
        """Take in what other workers have written of it."""
        self._restorer.follow(timeout_s)

    def adopt(self, partition: int, restored: Task, group: GroupMetadata) -> Offsets:
        """Begin to work on a restored task; return from where to read.

        The claim is on record before anything is written: should this worker die, the next owner
        knows whom to fence. The others are part of it: what they have sent is in the same
        transaction.
        Raises:  AbortedError if the task is lost again; the others are to be rolled back then.
        """
        moved = self._moved()
        self._tasks[partition] = restored
        self._stats.set_counts(self._counts_owner(partition), restored.chain.counts)
        try:
            self._commit({partition: restored} | moved, group)
        except AbortedError:
            self._close([partition])
            raise
        return places_of(partition, restored.checkpoint.offsets)

    def release(self, partitions: Collection[int], group: GroupMetadata) -> Offsets | None:
        """Let go of these partitions, with everything processed committed.

        Where it does not count, the next owner does it again; returned is from where the others
        have to be read again then.
        """
        mine = {p: self._tasks[p] for p in partitions if p in self._tasks}
        try:
            self._commit(mine | self._moved(), group, released=mine.keys())
        except AbortedError as error:
            log.warning("release_without_commit", partitions=sorted(mine), error=str(error))
            self._close(mine)
            return self.rollback()
        self._close(mine)
        return None

    def abandon(self) -> None:
        """Drop everything: it belongs to other workers already."""
        self._committer.abort()
        self._close(self._tasks)

    def process(self, parts: Sequence[Part], dead: Sequence[Dead], read_to: Offsets) -> None:
        """Run the chain on what was read and queue what comes of it."""
        send_dead(self._producer, dead, self._dead_topics)
        by_partition: dict[int, list[Part]] = {partition: [] for _, partition in read_to}
        for part in parts:
            by_partition[part.partition].append(part)
        for (topic, partition), offset in read_to.items():
            task = self._tasks[partition]
            task.read_to[topic] = offset
            task.has_moved = True
        for letter in dead:
            task = self._tasks[letter.partition]
            task.chain.counts[f"{letter.step}.dead_{letter.cause}"] += 1
            task.is_dirty = True
        drafts: list[Draft] = []
        for partition, mine in by_partition.items():
            if mine:
                self._tasks[partition].is_dirty = True
                drafts += self._run(partition, mine)
                if sum(draft.records.num_rows for draft in drafts) >= limits.DRAFT_RECORDS_MAX:
                    self._send(drafts)
                    drafts = []
        self._send(drafts)
        self._producer.push()

    def idle(self) -> None:
        """Give merges that wait too long for a lost record the chance to go on without it."""
        for partition, task in self._tasks.items():
            if task.chain.held_records():
                self._send(self._run(partition, []))
        self._producer.push()

    @property
    def holds_back(self) -> bool:
        """Say whether nobody sees what was processed before it is committed."""
        return self._committer.holds_back

    @property
    def is_dirty(self) -> bool:
        """Say whether something was processed since the last commit."""
        return any(task.is_dirty for task in self._tasks.values())

    def commit(self, group: GroupMetadata) -> Offsets:
        """Make all that was processed count; return what the group is yet to be told.

        Raises:  AbortedError if nothing of it counts: `rollback` comes next.
        """
        return self._commit(self._moved(), group)

    def rollback(self) -> Offsets:
        """Take all state back to the last commit; return from where to read again."""
        self._committer.abort()
        starts: Offsets = {}
        for partition, task in self._tasks.items():
            task.roll_back()
            starts |= places_of(partition, task.checkpoint.offsets)
        return starts

    def held_records(self) -> dict[tuple[str, int], int]:
        """Return how many records merges hold back, by topic and partition."""
        return {
            (topic, partition): count
            for partition, task in self._tasks.items()
            for topic, count in task.chain.held_records().items()
        }

    def close(self) -> None:
        """Release the tasks' files."""
        self._close(self._tasks)
        self._restorer.close()

    def discard(self, restored: Task) -> None:
        """Release a restored task that is not wanted any more."""
        restored.store.close()

    def _moved(self) -> dict[int, Task]:
        return {p: task for p, task in self._tasks.items() if task.is_dirty or task.has_moved}

    def _commit(
        self, tasks: dict[int, Task], group: GroupMetadata, released: Collection[int] = ()
    ) -> Offsets:
        if not tasks:
            return {}
        batch = []
        for partition, task in tasks.items():
            if task.checkpoint.number % END_EVERY_CHECKPOINTS == 0:
                # Everything in the changelog so far is on disk already.
                task.changelog_end = self._changelog_end(partition)
            checkpoint = task.next_checkpoint(
                self._owner, self._layouts, is_released=partition in released
            )
            batch.append((partition, task, task.changes(), checkpoint))
        untold = self._committer.commit(batch, group)
        for _, task, changes, checkpoint in batch:
            task.settle(changes, checkpoint)
        return untold

    def _close(self, partitions: Iterable[int]) -> None:
        for partition in list(partitions):
            self._tasks.pop(partition).store.close()
            self._gaps.forget(partition)
            self._stats.set_counts(self._counts_owner(partition), Counter())

    def _run(self, partition: int, parts: Sequence[Part]) -> Sequence[Draft]:
        """Run a partition's chain; return what is to be sent of what it wrote."""
        task = self._tasks[partition]
        now_s = time.monotonic()
        results = task.chain.process(parts, now_s, self._gaps.look(partition, task, now_s))
        for name, records in results.lost.items():
            if records:
                log.error("merge_gap_skipped", step=name, partition=partition, records=records)
        if results.records_in:
            task.is_dirty = True
        send_dead(self._producer, results.dead, self._dead_topics)
        self._note(partition, task, parts, results)
        return results.drafts

    def _send(self, drafts: Sequence[Draft]) -> None:
        for draft in merged(drafts):
            send_emission(self._producer, draft.emission)

    def _note(self, partition: int, task: Task, parts: Sequence[Part], results: Results) -> None:
        latency_counts = latency_counts_of(parts, time.time_ns() // 1_000_000)
        for name, records in results.records_in.items():
            self._stats.add_batch(
                name,
                records_in=records,
                records_out=results.records_out[name],
                dead_letters=sum(1 for letter in results.dead if letter.step == name),
                busy_ns=results.busy_ns[name],
                latency_counts=latency_counts,
            )
        self._stats.set_counts(self._counts_owner(partition), task.chain.counts)

    def _counts_owner(self, partition: int) -> str:
        return f"{self._steps[0].step.name}-{partition}"
