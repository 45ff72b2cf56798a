"""The part of a feed between two times of receipt."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from headrace.errors import UsageError
from headrace.feed import Feed, FrameBlock


class WindowedFeed:
    """The frames received from `from_ns` on and before `to_ns`, in the feed's own numbering.

    What comes before is left out, so books begin at their next snapshot.
    """

    def __init__(self, feed: Feed, from_ns: int | None, to_ns: int | None) -> None:
        self._feed = feed
        self._from_ns, self._to_ns = from_ns, to_ns
        self.identity = feed.identity
        self.counts = feed.counts
        self.tally = feed.tally

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        """Yield the frames of the window; ends at the first block that lies behind it."""
        for block in self._feed.blocks(resume_after):
            times = block.receive_times_ns
            if self._to_ns is not None and len(times) and int(times.min()) >= self._to_ns:
                return
            kept = np.ones(len(times), np.bool_)
            if self._from_ns is not None:
                kept &= times >= self._from_ns
            if self._to_ns is not None:
                kept &= times < self._to_ns
            if kept.all():
                yield block
            elif kept.any():
                yield _rows(block, np.flatnonzero(kept).tolist())


def _rows(block: FrameBlock, rows: list[int]) -> FrameBlock:
    return FrameBlock(
        [block.sources[row] for row in rows],
        [block.venues[row] for row in rows],
        block.sequences[rows],
        block.receive_times_ns[rows],
        block.time_shifts_ns[rows],
        block.pass_indexes[rows],
        [block.payloads[row] for row in rows],
    )


def parse_time(text: str, option: str) -> int:
    """Return a time in UTC nanoseconds: such a number, or ISO 8601 (UTC if it names no zone).

    Raises:  UsageError if it is neither.
    """
    if text.isdecimal():
        return int(text)
    try:
        return iso_time_ns(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text[:40]!r}: expected a time as 2024-08-08T21:35:00 (UTC), or nanoseconds "
            "since 1970"
        ) from error


def iso_time_ns(text: str) -> int:
    """Return a time in ISO 8601 as UTC nanoseconds; it is UTC if it names no zone.

    Raises:  ValueError if it is none.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
