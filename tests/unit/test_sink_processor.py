"""A sink lets a partition go only when the dead letters of what it wrote are in Kafka."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.batch import Part
from headrace.runtime.sink_processor import SinkProcessor
from headrace.runtime.stats import Stats
from headrace.sinks.contract import Key, Written

PLACE = ("a.v1", 0)


class Target:
    """Takes whatever it is given."""

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to disconnect from."""

    def positions(self) -> dict[Key, int]:
        return {}

    def write(self, parts: Sequence[Part]) -> Written:
        return Written(sum(map(len, parts)))


class Letters:
    """A producer that counts how often it was waited for."""

    def __init__(self) -> None:
        self.flushed: list[float] = []

    def flush(self, timeout_s: float) -> None:
        self.flushed.append(timeout_s)


def part() -> Part:
    numbers = np.zeros(1, np.int64)
    return Part(*PLACE, pa.record_batch({"n": [1]}), [b"v"], [b"k"], numbers, numbers)


def test_letters_are_flushed_before_a_partition_is_let_go() -> None:
    letters = Letters()
    processor = SinkProcessor("test", Target(), producer=letters, stats=Stats())  # type: ignore[arg-type]
    processor.adopt(PLACE, None, None)
    processor.release([PLACE], None)
    assert letters.flushed == []  # nothing was written

    processor.process([part()], [], {PLACE: 1})
    processor.release([PLACE], None)

    assert len(letters.flushed) == 1
    assert letters.flushed[0] > 0
