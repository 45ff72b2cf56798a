"""How many orders there were in the second around a moment, in bounded memory."""

from bisect import insort
from itertools import pairwise

import msgspec

WINDOW_NS = 1_000_000_000

MEMORY_NS = 10 * WINDOW_NS
"""How far apart in time two orders may be and still know of each other: sources of one instrument
may lag behind one another by so much."""

SPANS_MAX = 8
"""Spans of forgotten time kept apart: recordings of so many days may follow in any order."""


class RateWindow(msgspec.Struct, array_like=True):
    """Times of past orders in order of arrival, and the spans of time in which some are forgotten.

    Spans are pairs of first and last forgotten time; they ascend and do not overlap.
    """

    times_ns: list[int] = msgspec.field(default_factory=list)
    forgotten_ns: list[tuple[int, int]] = msgspec.field(default_factory=list)


def orders_around(window: RateWindow, time_ns: int) -> int:
    """Return how many known orders are less than a second before or after a moment.

    For a moment after all of them that is the sliding window (t - 1 s, t]. A late moment counts
    both sides, which is at least what any one second around it holds: it errs against us.
    """
    return sum(-WINDOW_NS < each - time_ns < WINDOW_NS for each in window.times_ns)


def is_provable(window: RateWindow, time_ns: int) -> bool:
    """Say whether no order within a second of a moment may have been forgotten."""
    return all(
        last <= time_ns - WINDOW_NS or first >= time_ns + WINDOW_NS
        for first, last in window.forgotten_ns
    )


def add_order(window: RateWindow, time_ns: int, *, most: int) -> None:
    """Remember an order; the first that came is forgotten beyond `most`."""
    window.times_ns.append(time_ns)
    if len(window.times_ns) > most:
        _forget(window, window.times_ns.pop(0))


def forget_far(window: RateWindow, time_ns: int) -> None:
    """Forget orders ten seconds or more before or after a moment."""
    far = [each for each in window.times_ns if abs(each - time_ns) >= MEMORY_NS]
    if far:
        window.times_ns = [each for each in window.times_ns if abs(each - time_ns) < MEMORY_NS]
        for each in far:
            _forget(window, each)


def _forget(window: RateWindow, time_ns: int) -> None:
    """Widen what is forgotten; beyond the limit the two spans that are closest become one."""
    spans = window.forgotten_ns
    if any(first <= time_ns <= last for first, last in spans):
        return
    insort(spans, (time_ns, time_ns))
    if len(spans) > SPANS_MAX:
        gaps = [after[0] - before[1] for before, after in pairwise(spans)]
        closest = gaps.index(min(gaps))
        spans[closest : closest + 2] = [(spans[closest][0], spans[closest + 1][1])]
