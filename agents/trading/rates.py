"""How many orders there were in the second around a moment, in bounded memory."""

from bisect import bisect_right, insort

import msgspec

WINDOW_NS = 1_000_000_000


class RateWindow(msgspec.Struct, array_like=True):
    """Times of past orders, ascending; `floor_ns` is the latest time that has been forgotten."""

    times_ns: list[int] = msgspec.field(default_factory=list)
    floor_ns: int = 0


def orders_around(window: RateWindow, time_ns: int) -> int:
    """Return how many known orders are less than a second before or after a moment.

    For a moment after all of them that is the sliding window (t - 1 s, t]. A late moment counts
    both sides, which is at least what any one second around it holds: it errs against us.
    """
    first = bisect_right(window.times_ns, time_ns - WINDOW_NS)
    end = bisect_right(window.times_ns, time_ns + WINDOW_NS - 1)
    return end - first


def is_provable(window: RateWindow, time_ns: int) -> bool:
    """Say whether no order within the second before a moment has been forgotten."""
    return window.floor_ns == 0 or window.floor_ns <= time_ns - WINDOW_NS


def add_order(window: RateWindow, time_ns: int, *, most: int) -> None:
    """Remember an order; the oldest is forgotten beyond `most`."""
    insort(window.times_ns, time_ns)
    if len(window.times_ns) > most:
        window.floor_ns = max(window.floor_ns, window.times_ns.pop(0))


def forget_before(window: RateWindow, time_ns: int) -> None:
    """Forget orders a second or more before a moment."""
    first = bisect_right(window.times_ns, time_ns - WINDOW_NS)
    if first:
        window.floor_ns = max(window.floor_ns, window.times_ns[first - 1])
        del window.times_ns[:first]
