"""What a gateway needs of Kafka: its own state back, and one transaction at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headrace.kafka.consumer import Offsets
from headrace.runtime.chain import Dead, Emission
from headrace.state.store import Changes
from headrace.state.tables import PageKey


@dataclass(frozen=True, slots=True)
class Restored:
    """What a partition's committed transactions left: pages by table, and offsets by topic."""

    tables: Mapping[str, Mapping[PageKey, bytes]] = field(default_factory=dict)
    offsets: Mapping[str, int] = field(default_factory=dict)


class Journal(Protocol):
    """Kafka, as a gateway's lane sees it. A gateway's safety rests on two promises.

    `commit` returns only if all of it counts and this process owned every partition that is a key
    of `changes` at that time, also where a partition has no page and no offset in it: for a lease.
    `restore` returns only after every earlier owner's transaction on the partition has ended and
    none of its later ones can succeed.
    """

    def restore(self, partition: int) -> Restored:
        """Return what is committed of a partition, and fence those who owned it before.

        Raises:  TransientError if Kafka is away for too long.
        """

    def commit(
        self,
        changes: Mapping[int, Changes],
        *,
        emissions: Sequence[Emission],
        dead: Sequence[Dead],
        offsets: Offsets,
    ) -> None:
        """Write changed pages by partition, records, dead letters and offsets: all or nothing.

        Raises:  FencedError if another process owns a partition; TransientError if it is not known
                 whether it counts. The caller stops in both cases, and what counts is restored.
        """

    def release(self, partition: int) -> None:
        """Let go of a partition; nothing of it is uncommitted."""

    def close(self) -> None:
        """Disconnect."""
