"""Which rows a sink takes, and when it refuses."""

import numpy as np
import pyarrow as pa
import pytest

from headrace import Part
from headrace.errors import InvariantError, TransientError
from headrace.sinks import PositionLostError
from headrace.sinks.contract import fresh_rows, require_position

KEY = ("t", 0)


def part(*offsets: int, topic: str = "t") -> Part:
    count = len(offsets)
    numbers = np.array(offsets, np.int64)
    records = pa.RecordBatch.from_pydict({"x": pa.array(numbers)})
    return Part(topic, 0, records, [b""] * count, [None] * count, numbers, numbers)


def taken(parts: list[Part], stored: dict[tuple[str, int], int]) -> list[list[int]]:
    fresh, _ = fresh_rows(parts, stored)
    return [rows.records.column("x").to_pylist() for rows in fresh]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [(0, [[3, 4, 7]]), (4, [[4, 7]]), (5, [[7]]), (8, []), (99, [])],
)
def test_rows_before_the_position_are_left_out(stored: int, expected: list[list[int]]) -> None:
    assert taken([part(3, 4, 7)], {KEY: stored}) == expected


def test_a_second_part_of_a_partition_goes_on_where_the_first_ends() -> None:
    assert taken([part(0, 1), part(1, 2)], {}) == [[0, 1], [2]]


def test_positions_after_are_one_beyond_the_last_row() -> None:
    _, positions = fresh_rows([part(3, 7), part(topic="u"), part(2, topic="v")], {("v", 0): 9})

    assert positions == {KEY: 8, ("v", 0): 9}


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_pieces_are_the_rows_in_their_order(size: int) -> None:
    (rows,), _ = fresh_rows([part(3, 4, 7, 9)], {KEY: 4})

    pieces = list(rows.pieces(size))

    assert [n for piece in pieces for n in piece.records.column("x").to_pylist()] == [4, 7, 9]
    assert max(map(len, pieces)) == min(size, 3)


def test_offsets_that_do_not_ascend_are_a_broken_invariant() -> None:
    with pytest.raises(InvariantError, match="ascend"):
        fresh_rows([part(3, 3)], {})


def test_another_owner_is_noticed() -> None:
    with pytest.raises(TransientError, match="another sink"):
        require_position(KEY, first=5, stored=9, expected=5, confirmed=5)


def test_a_store_that_forgot_what_it_confirmed_is_noticed() -> None:
    with pytest.raises(PositionLostError, match="Read on from 2"):
        require_position(KEY, first=5, stored=2, expected=2, confirmed=5)


def test_reading_again_from_what_the_store_has_is_taken() -> None:
    require_position(KEY, first=2, stored=2, expected=2, confirmed=5)


def test_a_hole_in_the_log_is_taken() -> None:
    """Compaction and transaction markers leave holes."""
    require_position(KEY, first=100, stored=5, expected=5, confirmed=5)
