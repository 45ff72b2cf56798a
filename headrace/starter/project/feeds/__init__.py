"""Where frames come from: `walk:N`, the first N trades of a seeded random walk."""

import json
from collections.abc import Iterator

import numpy as np

from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions, FeedTally, FrameBlock

SYMBOLS = ("AAA", "BBB", "CCC")
BLOCK_FRAMES = 1_000
BEGIN_NS = 1_700_000_000_000_000_000
GAP_NS = 10_000_000


def open_feed(text: str, options: FeedOptions) -> Feed:
    """Return the feed of that name.

    Raises:  FeedError if there is none.
    """
    kind, _, count = text.partition(":")
    if kind != "walk" or not count.isdecimal():
        raise FeedError(
            f"feed {text!r}: expected walk:N with a number of trades, such as walk:1000"
        )
    if options.repeat != 1 or options.symbols:
        raise FeedError(f"feed {text!r}: it is read once, and whole; leave --repeat and --symbols")
    return WalkFeed(text, int(count))


class WalkFeed:
    """The same trades at every reading; goes on where the log ends."""

    def __init__(self, text: str, frames: int) -> None:
        self.identity = text
        self.tally = FeedTally()
        self.counts = self.tally.dropped
        self._frames = frames

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        """Yield the frames that were not sent yet."""
        random = np.random.default_rng(7)
        prices = 10_000 + np.cumsum(random.integers(-5, 6, self._frames))
        sizes = random.integers(1, 10, self._frames)
        begin = resume_after.get("walk", 0)
        for first in range(begin, self._frames, BLOCK_FRAMES):
            numbers = np.arange(first, min(first + BLOCK_FRAMES, self._frames))
            none = np.zeros(len(numbers), np.int64)
            self.tally.lines_read += len(numbers)
            self.tally.frames += len(numbers)
            yield FrameBlock(
                sources=["walk"] * len(numbers),
                venues=["walk"] * len(numbers),
                sequences=numbers + 1,
                receive_times_ns=BEGIN_NS + numbers * GAP_NS,
                time_shifts_ns=none,
                pass_indexes=none,
                payloads=[
                    json.dumps(
                        {
                            "symbol": SYMBOLS[number % len(SYMBOLS)],
                            "price": int(prices[number]),
                            "size": int(sizes[number]),
                        }
                    )
                    for number in numbers.tolist()
                ],
            )
