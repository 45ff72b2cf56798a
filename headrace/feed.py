"""What a feed is: the one place where records enter from outside Kafka."""

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What a person chooses about a feed.

    `symbols` keeps these instruments' symbols only (all if empty); `repeat` reads a finite feed
    again so often, shifted in time and ids.
    """

    symbols: frozenset[str] = frozenset()
    repeat: int = 1


class Feed(Protocol):
    """Frames from outside, read in order; `identity` names the same input the same way at each run."""

    identity: str
    counts: dict[str, int]
    """What the feed itself dropped, by named reason (lines that are no frames, say)."""

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        """Yield the frames not yet in Kafka; ends where the input ends.

        `resume_after` says by source up to which sequence the frames are there already.
        Raises:  FeedError if the input cannot be opened.
        """
