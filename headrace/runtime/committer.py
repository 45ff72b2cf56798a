"""What makes a chain's work count: outputs, state and offsets, with or without a transaction."""

from collections.abc import Sequence
from typing import Protocol

from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import GroupMetadata
from headrace.kafka.producer import Producer
from headrace.kafka.transaction import TransactionalProducer
from headrace.runtime.task import Task, places_of
from headrace.state.changelog import Changelog
from headrace.state.store import Changes, Checkpoint

Batch = Sequence[tuple[int, Task, Changes, Checkpoint]]
"""What a commit covers: partition, task, its changed pages, the checkpoint they make."""


class Committer(Protocol):
    """Commits several tasks of a lane at once."""

    @property
    def holds_back(self) -> bool:
        """Say whether nobody sees what was sent before it is committed."""

    def commit(self, batch: Batch, group: GroupMetadata) -> None:
        """Make this and everything sent before it count.

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

    def commit(self, batch: Batch, group: GroupMetadata) -> None:
        """Commit the transaction that all outputs since the last one are part of."""
        offsets: Offsets = {}
        for partition, _, changes, checkpoint in batch:
            self._changelog.send(partition, changes, checkpoint)
            offsets |= places_of(partition, checkpoint.offsets)
        self._producer.commit(offsets, group)

    def abort(self) -> None:
        """Abort the open transaction."""
        self._producer.abort()


class AtLeastOnce:
    """Outputs first, then state: after a crash in between, outputs are written again."""

    holds_back = False

    def __init__(self, producer: Producer, changelog: Changelog) -> None:
        self._producer = producer
        self._changelog = changelog

    def commit(self, batch: Batch, group: GroupMetadata) -> None:  # noqa: ARG002 (the protocol's)
        """Wait until outputs are acknowledged, then write state and offsets to the changelog."""
        self._producer.flush()
        for partition, _, changes, checkpoint in batch:
            self._changelog.send(partition, changes, checkpoint)
        self._producer.flush()

    def abort(self) -> None:
        """Nothing can be taken back."""
