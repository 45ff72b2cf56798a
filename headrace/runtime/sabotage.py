"""Commits broken on purpose, so that `headrace faults` can show that it would notice.

Only `HEADRACE_SABOTAGE` chooses one of them; every worker that does says so in its log.
"""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from headrace.batch import Part
from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import GroupMetadata
from headrace.runtime.chain import Dead
from headrace.runtime.committer import Batch, Committer
from headrace.runtime.processor import ChainProcessor

log = structlog.get_logger(__name__)


class AsNobody:
    """Commits as no member of the group: an owner that was put out is not refused."""

    holds_back = True

    def __init__(self, committer: Committer, nobody: GroupMetadata) -> None:
        log.critical("sabotaged", what="fencing")
        self._committer = committer
        self._nobody = nobody

    def commit(self, batch: Batch, group: GroupMetadata) -> Offsets:  # noqa: ARG002 (protocol's)
        """Commit under a name the group does not check."""
        return self._committer.commit(batch, self._nobody)

    def abort(self) -> None:
        """Abort as always."""
        self._committer.abort()


class ClaimsFirst(ChainProcessor):
    """Commits how far it has read before it processes what it read."""

    def __init__(self, group: Callable[[], GroupMetadata], *args: Any, **options: Any) -> None:
        log.critical("sabotaged", what="tracker")
        super().__init__(*args, **options)
        self._group = group

    def process(self, parts: Sequence[Part], dead: Sequence[Dead], read_to: Offsets) -> None:
        """Claim what was read, then process it."""
        super().process((), (), read_to)
        self.commit(self._group())
        super().process(parts, dead, read_to)
