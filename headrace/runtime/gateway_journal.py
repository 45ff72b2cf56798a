"""What a gateway needs of Kafka: its own state back, and one transaction at a time."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import GroupMetadata
from headrace.kafka.transaction import TransactionalProducer
from headrace.runtime.chain import Dead
from headrace.runtime.dead_letters import send_dead
from headrace.runtime.emission import Emission, send_emission
from headrace.state.changelog import Changelog
from headrace.state.pages import Changes
from headrace.state.restorer import Restorer
from headrace.state.store import Checkpoint, Pages, Store

END_EVERY_CHECKPOINTS = 50
"""How often a checkpoint notes where the changelog stands: a restart re-reads no more than that."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a partition's committed transactions left: pages by table, and offsets by topic.

    `source` is the journal's own: where it found them.
    """

    tables: Mapping[str, Pages]
    offsets: Mapping[str, int]
    source: Any = None


class Journal(Protocol):
    """Kafka, as a gateway's lane sees it. A gateway's safety rests on two promises.

    `commit` returns only if all of it counts and this process was a member that owned every
    partition in `changes` when it did, also where a partition has nothing to write: for a lease.
    `restore` returns only after every earlier owner's transaction on the partition has ended, and
    none of its later ones can succeed.
    """

    # The restoring thread's.

    def restore(self, partition: int, is_lost: Callable[[], bool]) -> Restored:
        """Return what is committed of a partition, and fence those who owned it before."""

    def stand_by(self, partitions: Collection[int]) -> None:
        """Keep the state of these partitions warm, and of no others."""

    def follow(self, timeout_s: float) -> None:
        """Take in what other owners have written of those."""

    def discard(self, restored: Restored) -> None:
        """Release what was restored for nothing."""

    # The processing thread's.

    def hold(self, partition: int, restored: Restored) -> None:
        """Begin to own a partition."""

    def commit(
        self,
        changes: Mapping[int, Changes],
        *,
        emissions: Sequence[Emission],
        dead: Sequence[Dead],
        offsets: Offsets,
        group: GroupMetadata,
        released: Collection[int] = (),
    ) -> None:
        """Write changed pages by partition, records, dead letters and offsets: all or nothing.

        `released` are partitions that are let go of with it.
        Raises:  AbortedError if nothing of it counts; FencedError if another process has taken
                 over; TransientError if it is not known whether it counts: only a restart tells.
        """

    def abort(self) -> None:
        """Let nothing count that a failed commit may have written."""

    def committed(self, partition: int) -> Restored:
        """Return what is committed of a partition that is held."""

    def drop(self, partition: int) -> None:
        """Own a partition no longer."""

    def close(self) -> None:
        """Disconnect."""


@dataclass(slots=True)
class _Held:
    store: Store
    checkpoint: Checkpoint


class KafkaJournal:
    """A transactional producer, a changelog and the stores behind it."""

    def __init__(
        self,
        *,
        producer: TransactionalProducer,
        changelog: Changelog,
        changelog_end: Callable[[int], int],
        restorer: Restorer,
        owner: str,
        layouts: Mapping[str, str],
    ) -> None:
        """Write as `owner`."""
        self._producer = producer
        self._changelog = changelog
        self._changelog_end = changelog_end
        self._restorer = restorer
        self._owner = owner
        self._layouts = layouts
        self._held: dict[int, _Held] = {}

    def restore(self, partition: int, is_lost: Callable[[], bool]) -> Restored:
        """Return what is committed of a partition, and fence those who owned it before."""
        store, checkpoint = self._restorer.restore(partition, is_lost)
        return _restored(_Held(store, checkpoint))

    def stand_by(self, partitions: Collection[int]) -> None:
        """Keep the state of these partitions warm, and of no others."""
        self._restorer.stand_by(set(partitions))

    def follow(self, timeout_s: float) -> None:
        """Take in what other owners have written of those."""
        self._restorer.follow(timeout_s)

    def discard(self, restored: Restored) -> None:
        """Release what was restored for nothing."""
        restored.source.store.close()

    def hold(self, partition: int, restored: Restored) -> None:
        """Begin to own a partition."""
        self._held[partition] = restored.source

    def commit(
        self,
        changes: Mapping[int, Changes],
        *,
        emissions: Sequence[Emission],
        dead: Sequence[Dead],
        offsets: Offsets,
        group: GroupMetadata,
        released: Collection[int] = (),
    ) -> None:
        """Write all of it in one transaction.

        The offsets of every partition in `changes` go into it, moved or not: it is they that have
        the group say whether this member is still one.
        """
        send_dead(self._producer, dead)
        for emission in emissions:
            send_emission(self._producer, emission)
        checkpoints: dict[int, Checkpoint] = {}
        wanted: Offsets = {}
        for partition, pages in changes.items():
            found = self._next(partition, offsets, is_released=partition in released)
            self._changelog.send(partition, pages, found)
            checkpoints[partition] = found
            wanted |= {(topic, partition): offset for topic, offset in found.offsets.items()}
        self._producer.commit(wanted, group)
        for partition, checkpoint in checkpoints.items():
            self._held[partition].store.write(changes[partition], checkpoint)
            self._held[partition].checkpoint = checkpoint

    def abort(self) -> None:
        """Abort the open transaction, if there is one."""
        self._producer.abort()

    def committed(self, partition: int) -> Restored:
        """Return what is committed of a partition that is held."""
        return _restored(self._held[partition])

    def drop(self, partition: int) -> None:
        """Own a partition no longer."""
        self._held.pop(partition).store.close()

    def close(self) -> None:
        """Release the stores."""
        for partition in list(self._held):
            self.drop(partition)
        self._restorer.close()

    def _next(self, partition: int, offsets: Offsets, *, is_released: bool) -> Checkpoint:
        before = self._held[partition].checkpoint
        end = before.changelog_end
        if before.number % END_EVERY_CHECKPOINTS == 0:
            # Everything in the changelog so far is on disk already.
            end = max(end, self._changelog_end(partition))
        moved = {topic: offset for (topic, place), offset in offsets.items() if place == partition}
        return Checkpoint(
            number=before.number + 1,
            offsets=before.offsets | moved,
            changelog_end=end,
            owner=self._owner,
            is_released=is_released,
            layouts=dict(self._layouts),
        )


def _restored(held: _Held) -> Restored:
    tables = {name: held.store.pages(name) for name in held.store.tables()}
    return Restored(tables, held.checkpoint.offsets, held)
