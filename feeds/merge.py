"""Several sources as one stream in order of receipt, by whole slices of columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headrace import limits as engine_limits
from headrace.batch import IntArray
from headrace.feed import FrameBlock


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames of one source that follow one another, in one dialect.

    Shapes:  the columns have the same length, at least 1.
    `order_ns` never runs backwards within a source: receive times, held at their highest so far.
    """

    venue: str
    order_ns: IntArray
    receive_times_ns: IntArray
    first_sequence: int
    payloads: list[str]

    def __len__(self) -> int:
        """Return how many frames the piece has."""
        return len(self.payloads)


@dataclass(slots=True)
class _Lane:
    """One source in the merge: its name, its piece in hand, and how much of it is gone."""

    name: str
    pieces: Iterator[Piece]
    piece: Piece
    taken: int = 0

    @property
    def last_ns(self) -> int:
        return int(self.piece.order_ns[-1])

    def take_until(self, time_ns: int, *, inclusive: bool) -> tuple[int, int]:
        """Return the bounds of the next frames up to a time, and hold them for taken."""
        begin = self.taken
        side: Literal["left", "right"] = "right" if inclusive else "left"
        self.taken = max(begin, int(self.piece.order_ns.searchsorted(time_ns, side=side)))
        return begin, self.taken


@dataclass(frozen=True, slots=True)
class MergedFrames:
    """Frames of several sources in one order, before a pass shifts them."""

    sources: list[str]
    venues: list[str]
    sequences: IntArray
    receive_times_ns: IntArray
    payloads: list[str]

    def blocks(self, shift_ns: int, pass_index: int) -> Iterator[FrameBlock]:
        """Yield the frames in blocks of at most `BATCH_RECORDS_MAX`, shifted in time."""
        count, step = len(self.payloads), engine_limits.BATCH_RECORDS_MAX
        for begin in range(0, count, step):
            end = min(begin + step, count)
            yield FrameBlock(
                self.sources[begin:end],
                self.venues[begin:end],
                self.sequences[begin:end],
                self.receive_times_ns[begin:end] + shift_ns,
                np.full(end - begin, shift_ns, np.int64),
                np.full(end - begin, pass_index, np.int64),
                self.payloads[begin:end],
            )


def merge(streams: Sequence[tuple[str, Iterator[Piece]]]) -> Iterator[MergedFrames]:
    """Yield all frames by (time, order of the sources given, place in the source).

    Each step takes everything up to the earliest end among the pieces in hand: nothing that comes
    later can belong before it. The result does not depend on where pieces begin and end.
    """
    lanes = []
    for name, pieces in streams:
        first = next(pieces, None)
        if first is not None:
            lanes.append(_Lane(name, pieces, first))
    while lanes:
        # min() keeps the first of equals: of lanes that end together, the earliest in order
        horizon = min(range(len(lanes)), key=lambda index: lanes[index].last_ns)
        horizon_ns = lanes[horizon].last_ns
        parts = []
        for index, lane in enumerate(lanes):
            begin, end = lane.take_until(horizon_ns, inclusive=index <= horizon)
            if end > begin:
                parts.append((lane, begin, end))
        yield _merged(parts)
        finished = False
        for lane in lanes:
            if lane.taken == len(lane.piece):
                following = next(lane.pieces, None)
                if following is None:
                    finished = True
                else:
                    lane.piece, lane.taken = following, 0
        if finished:
            lanes = [lane for lane in lanes if lane.taken < len(lane.piece)]


def _merged(parts: list[tuple[_Lane, int, int]]) -> MergedFrames:
    if len(parts) == 1:
        lane, begin, end = parts[0]
        count = end - begin
        return MergedFrames(
            [lane.name] * count,
            [lane.piece.venue] * count,
            _sequences(lane, begin, end),
            lane.piece.receive_times_ns[begin:end],
            lane.piece.payloads[begin:end],
        )
    order = np.argsort(
        np.concatenate([lane.piece.order_ns[begin:end] for lane, begin, end in parts]),
        kind="stable",  # equal times stay in the order of the sources
    )
    counts = [end - begin for _, begin, end in parts]
    lane_of_row = np.repeat(np.arange(len(parts)), counts)[order].tolist()
    names = [lane.name for lane, _, _ in parts]
    venues = [lane.piece.venue for lane, _, _ in parts]
    payloads: list[str] = []
    for lane, begin, end in parts:
        payloads += lane.piece.payloads[begin:end]
    times = np.concatenate([lane.piece.receive_times_ns[begin:end] for lane, begin, end in parts])
    sequences = np.concatenate([_sequences(*part) for part in parts])
    return MergedFrames(
        [names[index] for index in lane_of_row],
        [venues[index] for index in lane_of_row],
        sequences[order],
        times[order],
        [payloads[row] for row in order.tolist()],
    )


def _sequences(lane: _Lane, begin: int, end: int) -> IntArray:
    first = lane.piece.first_sequence
    return np.arange(first + begin, first + end, dtype=np.int64)
