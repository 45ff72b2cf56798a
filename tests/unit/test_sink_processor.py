"""Dead letters of a sink are in Kafka before its target's position moves beyond their records."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.batch import DeadRow, Part
from headrace.errors import TransientError
from headrace.runtime.chain import Dead
from headrace.runtime.sink_processor import SinkProcessor
from headrace.runtime.stats import Stats
from headrace.sinks.contract import Keep, Key, Written

PLACE = ("a.v1", 0)


class Letters:
    """A producer that notes what is done with it; what it was sent is lost until it is flushed."""

    def __init__(self, done: list[str], *, is_away: bool = False) -> None:
        self._done = done
        self._is_away = is_away

    def send(self, topic: str, *_: Any, **__: Any) -> None:
        self._done.append(f"letter to {topic}")

    def flush(self) -> None:
        if self._is_away:
            raise TransientError("the broker is away")
        self._done.append("flushed")


class Target:
    """Refuses the second record of whatever it is given."""

    def __init__(self, done: list[str]) -> None:
        self._done = done

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to disconnect from."""

    def positions(self) -> dict[Key, int]:
        return {}

    def write(self, parts: Sequence[Part], keep: Keep | None = None) -> Written:
        assert keep is not None
        dead = [DeadRow(0, 1, "refused", "no number")] if len(parts[0]) > 1 else []
        if dead:
            keep(dead)
        self._done.append("position moved")
        return Written(sum(map(len, parts)) - len(dead), dead)


def part(count: int) -> Part:
    numbers = np.arange(count, dtype=np.int64)
    values, keys = [b"v"] * count, [b"k"] * count
    return Part(*PLACE, pa.record_batch({"n": numbers}), values, keys, numbers, numbers)


def processor(done: list[str], *, is_away: bool = False) -> SinkProcessor:
    letters: Any = Letters(done, is_away=is_away)
    return SinkProcessor("test", Target(done), producer=letters, stats=Stats())


def test_what_the_target_refuses_is_in_kafka_before_its_position_moves() -> None:
    done: list[str] = []

    processor(done).process([part(2)], [], {PLACE: 2})

    assert done == ["letter to a.v1.dead", "flushed", "position moved"]


def test_so_is_what_could_not_be_read() -> None:
    done: list[str] = []
    unreadable = Dead("sink_test", *PLACE, 0, b"?", None, (), "undecodable", "no Avro")

    processor(done).process([part(1)], [unreadable], {PLACE: 1})

    assert done == ["letter to a.v1.dead", "flushed", "position moved"]


def test_where_all_is_well_nobody_waits_for_kafka() -> None:
    done: list[str] = []

    processor(done).process([part(1)], [], {PLACE: 1})

    assert done == ["position moved"]


def test_a_letter_that_cannot_be_kept_keeps_the_position() -> None:
    done: list[str] = []
    unreadable = Dead("sink_test", *PLACE, 0, b"?", None, (), "undecodable", "no Avro")

    with pytest.raises(TransientError, match="away"):
        processor(done, is_away=True).process([part(1)], [unreadable], {PLACE: 1})

    assert "position moved" not in done
