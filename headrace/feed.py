"""What a feed is: the one place where records enter from outside Kafka."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from headrace.batch import IntArray


@dataclass(frozen=True, slots=True)
class FrameBlock:
    """Frames in order of receipt, as columns; at most `limits.BATCH_RECORDS_MAX` of them.

    Shapes:  every column has the same length. `sources` and `venues` repeat few distinct texts.
    `sequences` count the frames of a source from 1 without gaps, over passes, the same at every
    reading of the same feed: where a run broke off, the next one goes on.
    """

    sources: list[str]
    venues: list[str]
    sequences: IntArray
    receive_times_ns: IntArray
    time_shifts_ns: IntArray
    pass_indexes: IntArray
    payloads: list[str]


@dataclass(slots=True)
class FeedTally:
    """What became of a feed's input: `lines_read == frames + sum(dropped.values())` at any block.

    `frames` were handed on. `dropped` counts lines (or rows) that were not, by named reason.
    `notes` counts what was mended or remarked without dropping a line (times scaled, files cut).
    `faults` tells of damaged files in words, with place and cause.
    """

    lines_read: int = 0
    frames: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What a person chooses about a feed.

    `symbols` keeps these instruments' symbols only (all if empty); `repeat` reads a finite feed
    again so often, shifted in time and ids.
    """

    symbols: frozenset[str] = frozenset()
    repeat: int = 1


class Feed(Protocol):
    """Frames from outside, read in order; `identity` names the same input alike at each run."""

    identity: str
    counts: dict[str, int]
    """What the feed itself dropped, by named reason (lines that are no frames, say).

    The same object as `tally.dropped`."""
    tally: FeedTally

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        """Yield the frames not yet in Kafka; ends where the input ends.

        `resume_after` says by source up to which sequence the frames are there already.
        Raises:  FeedError if the input cannot be opened.
        """
