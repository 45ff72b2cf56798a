"""What makes a chain's work count: outputs, state and offsets, with or without a transaction."""

from collections.abc import Sequence
from typing import Protocol

from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import GroupMetadata
from headrace.kafka.producer import Producer
from headrace.kafka.transaction import TransactionalProducer
from headrace.runtime.task import Task, places_of
from headrace.state.changelog import Changelog
from headrace.state.pages import Changes
from headrace.state.store import Checkpoint

Batch = Sequence[tuple[int, Task, Changes, Checkpoint]]
"""What a commit covers: partition, task, its changed pages, the checkpoint they make."""


class Committer(Protocol):
    """Commits several tasks of a lane at once."""

    @property
    def holds_back(self) -> bool:
        """Say whether nobody sees what was sent before it is committed."""

    def commit(self, batch: Batch, group: GroupMetadata) -> Offsets:
        """Make this and everything sent before it count; return what the group is yet to be told.

        Raises:  AbortedError if nothing of it does; FencedError; TransientError.
        """

    def abort(self) -> None:
        """Let nothing sent since the last commit count, where that can be."""


class ExactlyOnce:
    """One Kafka transaction: outputs, changed state and offsets count together or not at all."""

    holds_back = True

    def __init__(self, producer: TransactionalProducer, changelog: Changelog) -> None:
        self._producer = producer
        self._changelog = changelog

    def commit(self, batch: Batch, group: GroupMetadata) -> Offsets:
        """Commit the transaction that all outputs since the last one are part of.

        The group is told by it. Told once more, outside of it, a late word could undo a later one.
        """
        offsets = _send_state(self._changelog, batch)
        self._producer.commit(offsets, group)
        return {}

    def abort(self) -> None:
        """Abort the open transaction."""
        self._producer.abort()


class AtLeastOnce:
    """Outputs first, then state: after a crash in between, outputs are written again."""

    holds_back = False

    def __init__(self, producer: Producer, changelog: Changelog) -> None:
        self._producer = producer
        self._changelog = changelog

    def commit(self, batch: Batch, group: GroupMetadata) -> Offsets:  # noqa: ARG002 (protocol's)
        """Wait until outputs are acknowledged, then write state and offsets to the changelog."""
        self._producer.flush()
        offsets = _send_state(self._changelog, batch)
        self._producer.flush()
        return offsets

    def abort(self) -> None:
        """Nothing can be taken back."""


def _send_state(changelog: Changelog, batch: Batch) -> Offsets:
    """Queue the pages and checkpoints of all tasks; return the offsets that these stand for."""
    offsets: Offsets = {}
    for partition, _, changes, checkpoint in batch:
        changelog.send(partition, changes, checkpoint)
        offsets |= places_of(partition, checkpoint.offsets)
    return offsets
