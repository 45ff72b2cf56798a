"""Orders a second: what is known, what was forgotten, and that forgetting never lets more pass."""

from agents.trading.rates import (
    SPANS_MAX,
    WINDOW_NS,
    RateWindow,
    add_order,
    forget_far,
    is_provable,
    orders_around,
)

DAY_NS = 86_400 * WINDOW_NS


def filled(*times_ns: int, most: int = 4) -> RateWindow:
    window = RateWindow()
    for time_ns in times_ns:
        add_order(window, time_ns, most=most)
    return window


def test_orders_within_a_second_either_side_count() -> None:
    window = filled(0, 1, WINDOW_NS, 2 * WINDOW_NS)

    assert orders_around(window, WINDOW_NS) == 2
    assert orders_around(window, WINDOW_NS - 1) == 3


def test_second_with_a_forgotten_order_is_not_provable() -> None:
    window = filled(*(k * WINDOW_NS for k in range(10)))

    assert not is_provable(window, 5 * WINDOW_NS)
    assert not is_provable(window, -WINDOW_NS + 1)
    assert is_provable(window, 6 * WINDOW_NS)
    assert is_provable(window, -WINDOW_NS)


def test_an_earlier_day_is_provable_after_a_later_one_was_forgotten() -> None:
    later = [DAY_NS + k * WINDOW_NS for k in range(10)]
    earlier = [k * WINDOW_NS for k in range(10)]

    window = filled(*later, *earlier)

    assert is_provable(window, 10 * WINDOW_NS)
    assert is_provable(window, DAY_NS + 10 * WINDOW_NS)
    assert not is_provable(window, DAY_NS + 4 * WINDOW_NS)


def test_forgotten_spans_are_bounded_and_cover_all_that_was_forgotten() -> None:
    times = [(k * 7_919 % 101) * 10 * WINDOW_NS for k in range(100)]

    window = filled(*times, most=1)

    assert len(window.forgotten_ns) == SPANS_MAX
    assert all(not is_provable(window, time_ns) for time_ns in times[:-1])
    assert window.forgotten_ns == sorted(window.forgotten_ns)


def test_far_orders_are_forgotten_and_near_ones_kept() -> None:
    window = filled(0, 5 * WINDOW_NS, 30 * WINDOW_NS)

    forget_far(window, 12 * WINDOW_NS)

    assert window.times_ns == [5 * WINDOW_NS]
    assert not is_provable(window, 30 * WINDOW_NS)
