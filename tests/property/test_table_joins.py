"""Joins of tables say what a dict a side says, whatever the cut and the restarts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InvariantError, UsageError
from headrace.operators import Rows, Sides, StreamTableJoin, TableTableJoin, operator_table
from headrace.operators.limits import PAGE_KEYS
from tests.examples import examples
from tests.join_rows import LEFT, RIGHT, SIDES, Row, told


def expected(
    join: StreamTableJoin | TableTableJoin, rows: Sequence[Row]
) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """Return what comes out, as (row, key, number of left, number of right), and the counts."""
    latest: dict[str, dict[str, int]] = {"left": {}, "right": {}}
    known: set[str] = set()
    emitted, counts = [], Counter[str]()
    for number, row in enumerate(rows):
        if row.side == "told":
            continue
        is_kept = row.side == "right" or join.left_is_table
        if is_kept:
            if row.key not in known and len(known) == join.keys_max:
                counts["key_refused"] += 1
                continue
            known.add(row.key)
            latest[row.side][row.key] = row.number
        if row.side == "right" and not join.left_is_table:
            continue
        left = latest["left"].get(row.key) if join.left_is_table else row.number
        right = latest["right"].get(row.key)
        if left is None or right is None:
            counts["unmatched"] += 1
            if join.unmatched == "drop":
                continue
        emitted.append((number, row.key, left, right))
    return emitted, dict(counts)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.sampled_from([StreamTableJoin, TableTableJoin]),
    st.sampled_from(["null", "drop"]),
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(SIDES), st.sampled_from("abcd")), max_size=60),
    st.data(),
)
def test_table_joins_equal_the_reference_however_the_input_is_cut(
    kind: Any,
    unmatched: str,
    keys_max: int,
    drawn: list[tuple[str, str]],
    data: st.DataObject,
) -> None:
    join = kind(LEFT, RIGHT, unmatched=unmatched, keys_max=keys_max)
    times = data.draw(st.lists(st.integers(0, 9), min_size=len(drawn), max_size=len(drawn)))
    rows = [
        Row(side, key, time, 0, number)
        for number, ((side, key), time) in enumerate(zip(drawn, times, strict=True))
    ]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    restarts = data.draw(st.sets(st.integers(0, len(cuts))))

    found = told(join, rows, cuts, restarts)

    assert found == expected(join, rows)


def values(*numbers: int) -> pa.RecordBatch:
    return pa.record_batch({"value": pa.array(numbers, pa.int64())})


SCHEMA = pa.schema({"value": pa.int64()})


def test_only_pages_with_changed_keys_are_written() -> None:
    join = StreamTableJoin(SCHEMA, SCHEMA)
    table = operator_table("test.row_by_key.v1", {"join": join})
    state = table.open()
    keys = [f"k{number}" for number in range(3 * PAGE_KEYS)]
    rows = Rows(pa.array(keys), np.arange(len(keys)))
    sides = Sides(np.zeros(len(keys), np.bool_), values(), values(*range(len(keys))))
    join.add(state.edit("join"), rows, sides)
    first = state.changes()

    one = Sides(np.array([False]), values(), values(7))
    join.add(state.edit("join"), Rows(pa.array([keys[PAGE_KEYS]]), np.array([1])), one)
    asked = Sides(np.array([True]), values(1), values())
    found = join.add(state.edit("join"), Rows(pa.array([keys[PAGE_KEYS]]), np.array([2])), asked)

    assert found.records.column("right_value").to_pylist() == [7]
    assert len(first) == 3
    assert len(state.changes()) == 1


def test_keys_too_many_are_dead_if_the_policy_says_so() -> None:
    join = TableTableJoin(SCHEMA, SCHEMA, left_out="dead", keys_max=1)
    rows = Rows(pa.array(["a", "b", "a", "b"]), np.arange(4))
    sides = Sides(np.array([True, True, False, False]), values(1, 2), values(3, 4))

    found = join.add(join.new(), rows, sides)

    assert found.records.num_rows == 2
    assert found.left_out.counts == {"key_refused": 2, "unmatched": 1}
    assert [dead.row for dead in found.left_out.dead()] == [1, 3]


def test_state_written_with_other_columns_is_refused() -> None:
    join = TableTableJoin(SCHEMA, SCHEMA)
    state = join.new()
    join.add(
        state, Rows(pa.array(["a"]), np.array([1])), Sides(np.array([True]), values(1), values())
    )
    pages = {page: value for page, value in state.dump().items() if value is not None}
    other = TableTableJoin(pa.schema({"value": pa.string(), "more": pa.int64()}), SCHEMA)

    with pytest.raises(InvariantError, match="raise the table's version"):
        other.load("join", pages)

    assert other.layout != join.layout
    assert StreamTableJoin(SCHEMA, SCHEMA).layout != join.layout


def test_table_joins_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="keys_max from 1"):
        StreamTableJoin(SCHEMA, SCHEMA, keys_max=0)
