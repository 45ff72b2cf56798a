"""Fills held against the mid price some time later: did the market move the way they bet?"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa

from headrace import limits
from headrace.batch import FloatArray, IntArray

KEPT_BEHIND_NS = 60_000_000_000
"""How late a fill may be said, beyond what is settled."""


@dataclass(slots=True)
class _Stream:
    """The quotes of a stream that may still be asked for, and the fills that wait for them."""

    times: deque[IntArray] = field(default_factory=deque)
    mids: deque[FloatArray] = field(default_factory=deque)
    waiting: list[tuple[int, int]] = field(default_factory=list)
    quotes: int = 0

    def drop_first(self) -> None:
        self.quotes -= len(self.times.popleft())
        self.mids.popleft()


class Hits:
    """Counts fills by where mid stood `horizon_ns` later: a hit, a miss, unmoved, or not known."""

    def __init__(self, horizon_ns: int) -> None:
        self._horizon_ns = horizon_ns
        self._streams: dict[str, _Stream] = defaultdict(_Stream)
        self.hits = self.misses = self.unmoved = self.unknown = 0

    def add_quotes(self, entries: pa.RecordBatch) -> None:
        """Take in quotes, as `headrace.ledger.QUOTES`."""
        encoded = entries.column("stream").dictionary_encode()
        codes = encoded.indices.to_numpy()
        times = entries.column("time_ns").to_numpy()
        mids = entries.column("mid").to_numpy()
        order = np.argsort(codes, kind="stable")
        borders = np.flatnonzero(np.diff(codes[order])) + 1
        for start, end in pairwise([0, *borders.tolist(), len(order)]):
            if end > start:
                rows = order[start:end]
                stream = self._streams[encoded.dictionary[int(codes[rows[0]])].as_py()]
                stream.times.append(times[rows])
                stream.mids.append(mids[rows])
                stream.quotes += len(rows)
                while stream.quotes > limits.BACKTEST_QUOTES_MAX and len(stream.times) > 1:
                    stream.drop_first()

    def add_fill(self, stream: str, time_ns: int, sign: int) -> None:
        """Take in a fill; `sign` is 1 if it bought."""
        self._streams[stream].waiting.append((time_ns, sign))

    def judge(self, settled_ns: int | None) -> None:
        """Judge the fills whose horizon has passed, or all; forget quotes that are too old."""
        for stream in self._streams.values():
            if stream.waiting:
                self._judge(stream, settled_ns)
            if settled_ns is None:
                continue
            first_ns = min((time_ns for time_ns, _ in stream.waiting), default=settled_ns)
            keep_ns = min(first_ns, settled_ns - self._horizon_ns) - KEPT_BEHIND_NS
            # The block before the first that is kept: its last quote may be the one that holds.
            while len(stream.times) > 1 and stream.times[1][0] < keep_ns:
                stream.drop_first()

    def _judge(self, stream: _Stream, settled_ns: int | None) -> None:
        until_ns = np.inf if settled_ns is None else settled_ns - self._horizon_ns
        due = [fill for fill in stream.waiting if fill[0] < until_ns]
        stream.waiting = [fill for fill in stream.waiting if fill[0] >= until_ns]
        if not due:
            return
        if not stream.times:
            self.unknown += len(due)
            return
        times, mids = np.concatenate(stream.times), np.concatenate(stream.mids)
        at = np.array([time_ns for time_ns, _ in due], np.int64)
        signs = np.array([sign for _, sign in due], np.int64)
        self._count(at, signs, times, mids)

    def _count(self, at: IntArray, signs: IntArray, times: IntArray, mids: FloatArray) -> None:
        before = times.searchsorted(at, side="right") - 1
        after = times.searchsorted(at + self._horizon_ns, side="right") - 1
        known = (before >= 0) & (at + self._horizon_ns <= times[-1])
        moves = np.sign(mids[after] - mids[np.maximum(before, 0)]) * signs
        self.unknown += int(np.count_nonzero(~known))
        self.hits += int(np.count_nonzero(known & (moves > 0)))
        self.misses += int(np.count_nonzero(known & (moves < 0)))
        self.unmoved += int(np.count_nonzero(known & (moves == 0)))

    def rate(self) -> float | None:
        """Return hits as a share of hits and misses; None if there are neither."""
        told = self.hits + self.misses
        return self.hits / told if told else None


def definition(horizon_ns: int) -> str:
    """Return in words what the hit rate is."""
    return (
        f"Share of fills after which mid moved the way they bet, of those after which it moved: "
        f"mid of the last quote up to {horizon_ns / 1e9:g} s after the fill against mid of the "
        "last quote up to the fill, of the same stream. Fills whose horizon lies behind the last "
        "quote are unknown."
    )
