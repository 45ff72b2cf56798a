"""The graph in process: what comes out for what goes in."""

import json

from headrace.testing import TestDriver


def frame(symbol: str, price: int, size: int, sequence: int) -> dict[str, object]:
    return {
        "source": "test",
        "venue": "test",
        "sequence": sequence,
        "receive_time_ns": sequence,
        "time_shift_ns": 0,
        "pass_index": 0,
        "payload": json.dumps({"symbol": symbol, "price": price, "size": size}),
    }


def test_the_average_is_weighted_by_size() -> None:
    driver = TestDriver("starter")

    driver.pipe("starter.frame.v1", [frame("AAA", 100, 1, 1), frame("AAA", 200, 3, 2)])

    assert driver.read("starter.average.v1").column("average_ticks").to_pylist() == [100.0, 175.0]


def test_a_frame_without_a_size_is_dead() -> None:
    driver = TestDriver("starter")

    driver.pipe("starter.frame.v1", [frame("AAA", 100, 0, 1)])

    (letter,) = driver.dead("starter.frame.v1").to_pylist()
    assert letter["cause"] == "no_trade"


def test_a_crash_loses_nothing() -> None:
    driver = TestDriver("starter")
    driver.pipe("starter.frame.v1", [frame("AAA", 100, 1, 1)])

    driver.crash()
    driver.restore()
    driver.pipe("starter.frame.v1", [frame("AAA", 200, 3, 2)])

    assert driver.read("starter.average.v1").column("average_ticks").to_pylist()[-1] == 175.0
