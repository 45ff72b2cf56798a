"""What joins, repeats and rates refuse; what they compute is held to tests/property."""

import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import InvariantError, UsageError
from headrace.operators import (
    AsOfJoin,
    Deduplicate,
    IntervalJoin,
    RateLimit,
    Rows,
    Sides,
    operator_table,
)

SCHEMA = pa.schema({"value": pa.int64()})


def join_of(**choices: object) -> AsOfJoin:
    return AsOfJoin(SCHEMA, SCHEMA, tolerance_ns=5, **{"lateness_ns": 0, **choices})  # type: ignore[arg-type]


def values(*numbers: int) -> pa.RecordBatch:
    return pa.record_batch({"value": pa.array(numbers, pa.int64())})


def test_late_rows_are_dead_if_the_policy_says_so() -> None:
    join = join_of(late="dead")
    rows = Rows(pa.array(["a"] * 4), np.array([9, 9, 3, 4]))
    sides = Sides(np.array([True, False, True, False]), values(1, 2), values(3, 4))

    left_out = join.add(join.new(), rows, sides).left_out

    assert left_out.counts == {"late_left": 1, "late_right": 1}
    assert [dead.row for dead in left_out.dead()] == [2, 3]


def test_rows_that_wait_come_out_when_the_time_is_told() -> None:
    join = join_of()
    state = join.new()
    rows = Rows(pa.array(["a", "a"]), np.array([1, 2]))
    join.add(state, rows, Sides(np.array([False, True]), values(7), values(5)))

    early, due = join.advance(state, 2), join.advance(state, 3)

    assert early.records.num_rows == 0
    assert due.records.to_pylist() == [
        {"key": "a", "time_ns": 2, "right_time_ns": 1, "value": 7, "right_value": 5}
    ]


def test_records_that_are_not_those_of_the_rows_are_refused() -> None:
    join = join_of()

    with pytest.raises(InvariantError, match="expected 1 records of a side, found 2"):
        join.add(
            join.new(),
            Rows(pa.array(["a"]), np.array([1])),
            Sides(np.array([True]), values(1, 2), values()),
        )


def test_state_written_with_other_columns_is_refused() -> None:
    one = operator_table("test.row_by_key.v1", {"join": (join := join_of())})
    state = one.open()
    sides = Sides(np.array([True]), values(1), values())
    join.add(state.edit("join"), Rows(pa.array(["a"]), np.array([1])), sides)
    wider = pa.schema({"value": pa.string(), "more": pa.int64()})
    other = AsOfJoin(wider, SCHEMA, tolerance_ns=5, lateness_ns=0)
    table = operator_table("test.row_by_key.v1", {"join": other})

    with pytest.raises(InvariantError, match="raise the table's version"):
        table.open().restore({page: value for page, value in state.changes().items() if value})

    assert table.layout != one.layout


def test_a_left_row_without_a_pair_comes_out_once_no_right_row_can_come() -> None:
    join = IntervalJoin(SCHEMA, SCHEMA, lower_ns=0, upper_ns=5, lateness_ns=2, unmatched="null")
    state = join.new()
    rows = Rows(pa.array(["a", "a", "a"]), np.array([1, 8, 9]))
    sides = Sides(np.array([True, False, False]), values(7), values(5, 6))

    found = join.add(state, rows, sides)

    assert found.records.to_pylist() == [
        {"key": "a", "time_ns": 1, "right_time_ns": None, "value": 7, "right_value": None}
    ]
    assert found.causes.tolist() == [2]  # by its watermark, 7, no right row up to 6 can come
    assert found.left_out.counts == {"unmatched": 1}


def test_marks_of_rows_that_are_not_there_are_refused() -> None:
    join = IntervalJoin(SCHEMA, SCHEMA, lower_ns=0, upper_ns=5, lateness_ns=0)
    pages = {page: value for page, value in join.new().dump().items() if value is not None}

    with pytest.raises(InvariantError, match="a header of 24 bytes, found 25"):
        join.load("join", {0: pages[0] + b"x"})


def test_an_operator_nobody_named_is_refused() -> None:
    table = operator_table("test.row_by_key.v1", {"join": join_of()})

    with pytest.raises(InvariantError, match="expected one of join, found 'windows'"):
        table.open().edit("windows")


def test_operators_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="left_rows_max from 2"):
        join_of(left_rows_max=1)
    with pytest.raises(UsageError, match="tolerance_ns"):
        AsOfJoin(SCHEMA, SCHEMA, tolerance_ns=-1, lateness_ns=0)
    with pytest.raises(UsageError, match="lower_ns up to upper_ns"):
        IntervalJoin(SCHEMA, SCHEMA, lower_ns=1, upper_ns=0, lateness_ns=0)
    with pytest.raises(UsageError, match="pairs_a_row_max from 1"):
        IntervalJoin(SCHEMA, SCHEMA, lower_ns=0, upper_ns=0, lateness_ns=0, pairs_a_row_max=0)
    with pytest.raises(UsageError, match="ids_max"):
        Deduplicate(1, 0)
    with pytest.raises(UsageError, match="horizon_ns"):
        Deduplicate(0)
    with pytest.raises(UsageError, match="records_max from 1"):
        RateLimit(0)
