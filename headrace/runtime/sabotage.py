"""Commits broken on purpose, so that `headrace faults` can show that it would notice.

Only `HEADRACE_SABOTAGE` chooses one of them; every worker that does says so in its log.
"""

from collections.abc import Callable

import msgspec
import structlog

from headrace.kafka.consumer import GroupMetadata
from headrace.kafka.fetched import Offsets
from headrace.runtime.committer import Batch, Committer

log = structlog.get_logger(__name__)


class AsNobody:
    """Commits as no member of the group: an owner that was put out is not refused."""

    holds_back = True

    def __init__(self, committer: Committer, nobody: GroupMetadata) -> None:
        log.critical("sabotaged", what="fencing")
        self._committer = committer
        self._nobody = nobody

    def commit(self, batch: Batch, group: GroupMetadata) -> None:  # noqa: ARG002 (the protocol's)
        """Commit under a name the group does not check."""
        self._committer.commit(batch, self._nobody)

    def abort(self) -> None:
        """Abort as always."""
        self._committer.abort()


class WhatWasRead:
    """Commits the offsets of what was read, though some of it waits to be processed."""

    holds_back = True

    def __init__(self, committer: Committer, read_to: Callable[[], Offsets]) -> None:
        log.critical("sabotaged", what="tracker")
        self._committer = committer
        self._read_to = read_to

    def commit(self, batch: Batch, group: GroupMetadata) -> None:
        """Commit checkpoints that claim too much."""
        read_to = self._read_to()
        ahead = []
        for partition, task, changes, checkpoint in batch:
            offsets = {
                topic: max(offset, read_to.get((topic, partition), 0))
                for topic, offset in checkpoint.offsets.items()
            }
            claimed = msgspec.structs.replace(checkpoint, offsets=offsets)
            ahead.append((partition, task, changes, claimed))
        self._committer.commit(ahead, group)

    def abort(self) -> None:
        """Abort as always."""
        self._committer.abort()
