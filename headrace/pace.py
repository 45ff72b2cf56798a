"""Frames at the speed they were received, or a multiple of it."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from headrace import limits
from headrace.errors import FeedError
from headrace.feed import FrameBlock

_SECOND_NS = 1_000_000_000

SPEED_MIN, SPEED_MAX = 1e-6, 1e9
"""Times real time: a second in 12 days, 30 years in one. Beyond, times leave 64 bits."""


def parse_speed(text: str) -> float | None:
    """Return how many times real time `max`, `1` or another number asks for; None for `max`.

    Raises:  FeedError if it is neither.
    """
    if text.strip().lower() == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not SPEED_MIN <= speed <= SPEED_MAX:
        raise FeedError(
            f"speed {text[:40]!r}: expected max or a number above 0, from {SPEED_MIN:g} to "
            f"{SPEED_MAX:g} (1 is real time); try --speed 1"
        )
    return speed


def paced(
    blocks: Iterator[FrameBlock],
    speed: float | None,
    *,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[FrameBlock]:
    """Yield the same frames when their receive time is due, `speed` times as fast as received.

    The first frame is due at once; a block that comes late is not waited for, and what follows
    keeps to the same schedule; no wait is longer than `limits.PACE_WAIT_S_MAX`. Blocks are split
    so that none covers more than `limits.PACE_SLICE_NS` of the reader's time; times that run
    backwards are due at once.
    `speed` None yields the blocks as they are.
    """
    if speed is None:
        yield from blocks
        return
    start_ns: int | None = None
    first_ns = 0
    for block in blocks:
        times = block.receive_times_ns
        if not len(times):
            continue
        if start_ns is None:
            start_ns, first_ns = clock_ns(), int(times[0])
        for begin, end in _slices(block, int(limits.PACE_SLICE_NS * speed)):
            due_ns = start_ns + int((int(times[begin:end].max()) - first_ns) / speed)
            wait_ns = due_ns - clock_ns()
            over_ns = wait_ns - int(limits.PACE_WAIT_S_MAX * _SECOND_NS)
            if over_ns > 0:
                start_ns, wait_ns = start_ns - over_ns, wait_ns - over_ns
            if wait_ns > 0:
                sleep(wait_ns / _SECOND_NS)
            yield _rows(block, begin, end)


def _slices(block: FrameBlock, slice_ns: int) -> Iterator[tuple[int, int]]:
    """Yield bounds within which the highest receive time so far rises by less than `slice_ns`."""
    highest = np.maximum.accumulate(block.receive_times_ns)
    begin, count = 0, len(highest)
    while begin < count:
        limit = highest[begin] + max(slice_ns, 1)
        end = max(begin + 1, int(highest.searchsorted(limit, side="left")))
        yield begin, end
        begin = end


def _rows(block: FrameBlock, begin: int, end: int) -> FrameBlock:
    if begin == 0 and end == len(block.payloads):
        return block
    return FrameBlock(
        block.sources[begin:end],
        block.venues[begin:end],
        block.sequences[begin:end],
        block.receive_times_ns[begin:end],
        block.time_shifts_ns[begin:end],
        block.pass_indexes[begin:end],
        block.payloads[begin:end],
    )
