"""One step: frames in, counts out; the input is made here."""

from collections.abc import Iterator

import numpy as np
from agents.count_frames import TALLY_BY_SOURCE, count_frames

from headrace import Invariant, Proof, Source, Step, Topic, Topology
from headrace.feed import Feed, FeedOptions, FeedTally, FrameBlock

FRAME = Topic("sample.frame.v1", "frame.v1", key=("source",), partitions=4)
COUNT = Topic("sample.count.v1", "count.v1", key=("source",), partitions=4)

SOURCES = tuple(f"source-{number}" for number in range(8))
FRAMES_PER_S = 400
BLOCK_FRAMES = 200


class NumberFeed:
    """Frames of numbers from all sources in turn, as many as its name says."""

    def __init__(self, text: str) -> None:
        self.identity = text
        self.tally = FeedTally()
        self.counts = self.tally.dropped
        self._frames = int(text.removeprefix("numbers:"))

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        """Yield the frames that were not sent yet."""
        for first in range(0, self._frames, BLOCK_FRAMES):
            numbers = np.arange(first, min(first + BLOCK_FRAMES, self._frames))
            sources = [SOURCES[n % len(SOURCES)] for n in numbers.tolist()]
            sequences = numbers // len(SOURCES) + 1
            known = np.array([resume_after.get(source, 0) for source in sources])
            fresh = np.flatnonzero(sequences > known)
            self.tally.lines_read += len(numbers)
            self.tally.frames += len(fresh)
            self.tally.dropped["already_ingested"] += len(numbers) - len(fresh)
            yield FrameBlock(
                [sources[n] for n in fresh.tolist()],
                ["plain"] * len(fresh),
                sequences[fresh],
                1_700_000_000_000_000_000 + numbers[fresh] * (1_000_000_000 // FRAMES_PER_S),
                np.zeros(len(fresh), np.int64),
                np.zeros(len(fresh), np.int64),
                [str(number) for number in numbers[fresh].tolist()],
            )


def open_numbers(text: str, options: FeedOptions) -> Feed:  # noqa: ARG001 (what a Source opens)
    """Return the feed of that name."""
    return NumberFeed(text)


def uncounted(tables: dict) -> list[str]:
    """Return the counts that are not one for each frame so far."""
    rows = tables[COUNT.name].to_pylist()
    return [f"{r['source']}: {r['frames']} frames" for r in rows if r["frames"] != r["sequence"]]


TOPOLOGY = Topology(
    name="counting",
    source=Source(FRAME, open_numbers, defaults=("numbers:1000",)),
    steps=(Step("count", count_frames, reads=(FRAME,), writes=(COUNT,), table=TALLY_BY_SOURCE),),
    proof=Proof(
        feed=lambda duration_s: f"numbers:{int(FRAMES_PER_S * duration_s)}",
        invariants=(Invariant("frame not counted", (COUNT,), uncounted),),
    ),
)
