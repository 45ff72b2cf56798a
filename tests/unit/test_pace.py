"""Pace by a clock that only moves when someone sleeps."""

import numpy as np
import pytest

from headrace.errors import FeedError
from headrace.feed import FrameBlock
from headrace.limits import PACE_SLICE_NS, PACE_WAIT_S_MAX
from headrace.pace import paced, parse_speed

MS = 1_000_000


class FakeClock:
    """A clock that only sleeping, or the test itself, moves on."""

    def __init__(self) -> None:
        self.now_ns = 123 * MS

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def block(times_ms: list[int]) -> FrameBlock:
    count = len(times_ms)
    return FrameBlock(
        ["s"] * count,
        ["plain"] * count,
        np.arange(count),
        np.array(times_ms, np.int64) * MS,
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        [str(time) for time in times_ms],
    )


def seen(
    blocks: list[FrameBlock], speed: float | None, clock: FakeClock
) -> list[tuple[int, list[str]]]:
    """Return (ms since the start, payloads) of each paced block."""
    start_ns = clock.now_ns
    return [
        ((clock.now_ns - start_ns) // MS, item.payloads)
        for item in paced(iter(blocks), speed, clock_ns=lambda: clock.now_ns, sleep=clock.sleep)
    ]


def test_frames_come_when_they_are_due() -> None:
    assert seen([block([1000, 1000, 1100]), block([1350])], 1.0, FakeClock()) == [
        (0, ["1000", "1000"]),
        (100, ["1100"]),
        (350, ["1350"]),
    ]


def test_twice_the_speed_takes_half_the_time() -> None:
    assert seen([block([0, 200, 1000])], 2.0, FakeClock()) == [
        (0, ["0"]),
        (100, ["200"]),
        (500, ["1000"]),
    ]


def test_no_block_covers_more_than_a_slice() -> None:
    items = seen([block(list(range(1000)))], 1.0, FakeClock())

    assert [payload for _, payloads in items for payload in payloads] == [
        str(time) for time in range(1000)
    ]
    for time_ms, payloads in items:
        assert int(payloads[-1]) - int(payloads[0]) < PACE_SLICE_NS // MS
        assert time_ms >= int(payloads[-1])


def test_who_reads_late_is_not_kept_waiting_again() -> None:
    clock = FakeClock()
    items = paced(
        iter([block([0, 100, 200])]), 1.0, clock_ns=lambda: clock.now_ns, sleep=clock.sleep
    )
    next(items)
    clock.now_ns += 150 * MS
    start_ns = clock.now_ns

    next(items)
    assert clock.now_ns == start_ns
    next(items)
    assert clock.now_ns == start_ns + 50 * MS


def test_times_that_run_backwards_are_due_at_once() -> None:
    assert seen([block([500, 100, 600])], 1.0, FakeClock()) == [
        (0, ["500", "100"]),
        (100, ["600"]),
    ]


def test_max_is_as_fast_as_can_be() -> None:
    blocks = [block([0, 10_000])]

    assert seen(blocks, None, FakeClock()) == [(0, ["0", "10000"])]


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1", 1.0), ("0.5", 0.5), ("20", 20.0)])
def test_speeds(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", "nan", ""])
def test_a_speed_that_is_none_says_so(text: str) -> None:
    with pytest.raises(FeedError, match="expected max or a number above 0"):
        parse_speed(text)


def test_line_of_another_century_is_not_waited_for_longer_than_an_hour() -> None:
    far_ms = 8 * 10**12
    hour_s = PACE_WAIT_S_MAX

    found = seen([block([0]), block([far_ms]), block([far_ms + 1_000])], 1.0, FakeClock())

    assert [round(due_ms / 1_000) for due_ms, _ in found] == [0, hour_s, hour_s + 1]
