"""Damaged files: counted always, told in words while there are few."""

from pathlib import Path

import structlog

from feeds import limits
from headrace.feed import FeedTally

_log = structlog.get_logger(__name__)


def note_fault(tally: FeedTally, reason: str, file: Path, found: str) -> None:
    """Count a damaged file and say so; in words only while there are few of them."""
    tally.notes[reason] += 1
    text = f"{file}: {found}"
    if text not in tally.faults and len(tally.faults) < limits.FAULTS_MAX:
        tally.faults.append(text)
        _log.error(reason, file=str(file), found=found)
