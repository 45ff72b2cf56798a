"""Commits broken on purpose, so that `headrace faults` can show that it would notice.

Only `HEADRACE_SABOTAGE` chooses one of them; every worker that does says so in its log.
"""

import msgspec
import structlog

from headrace.kafka.consumer import GroupMetadata
from headrace.runtime.committer import Batch, Committer
from headrace.runtime.intake import Intake

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
    """Reads ahead, and commits the offsets of what was read though some of it is not processed."""

    holds_back = True

    def __init__(self, committer: Committer, intake: Intake) -> None:
        log.critical("sabotaged", what="tracker")
        self._committer = committer
        self._intake = intake
        intake.behind_records_min = 0  # else there is seldom anything that waits

    def commit(self, batch: Batch, group: GroupMetadata) -> None:
        """Commit checkpoints that claim too much."""
        read_to = self._intake.read_to
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
