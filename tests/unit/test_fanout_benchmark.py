"""What the fan-out benchmark publishes, and what it makes of its runs."""

import numpy as np
import orjson
import pytest

from benchmarks.fanout.__main__ import section
from benchmarks.fanout.messages import TICK_RECORDS, latencies_us, messages, ticks
from benchmarks.fanout.run import WAYS, Run
from benchmarks.fanout.subscriber import SEQUENCE


def test_every_message_carries_its_place() -> None:
    made = [message for part in ticks(3) for message in messages(part)]

    assert [orjson.loads(message)["sequence"] for message in made] == list(range(3 * TICK_RECORDS))
    assert [SEQUENCE.findall(message) for message in made[:2]] == [[b"0"], [b"1"]]


def test_latency_counts_from_the_start_of_the_tick() -> None:
    received = np.repeat([1_500, 12_000], TICK_RECORDS)

    found = latencies_us([1_000, 10_000], np.arange(2 * TICK_RECORDS), received)

    assert found.tolist() == [0.5] * TICK_RECORDS + [2.0] * TICK_RECORDS


@pytest.mark.parametrize("sequences", [[*range(9), 8], list(range(9))])
def test_message_that_is_missing_or_came_twice_is_an_error(sequences: list[int]) -> None:
    with pytest.raises(ValueError, match="each of 10 messages once"):
        latencies_us([0], np.array(sequences), np.zeros(len(sequences), np.int64))


def test_section_holds_ours_against_the_socket_of_its_round() -> None:
    p50s = {"socket": 10.0, "headrace-plain": 50.0}
    runs = [Run(way, p50s.get(way, 20.0), 100.0, 1.0) for way in WAYS]

    lines = section(runs, 1)

    assert any("p50" in line and "**missed by 25%**" in line for line in lines)
    assert any("p99" in line and line.endswith("| met |") for line in lines)
