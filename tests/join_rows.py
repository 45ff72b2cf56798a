"""Rows of two sides as tests write them, and what a join says of them, cut and restarted."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from headrace.operators import Joined, Rows, Sides, operator_table
from headrace.operators.table import Operator
from headrace.state.pages import PageKey
from headrace.state.tables import ObjectState
from tests.table_store import keep_changes

LEFT = pa.schema({"name": pa.string()})
RIGHT = pa.schema({"price": pa.int64(), "note": pa.string()})
SIDES = ("left", "left", "right", "right", "told")


class Row(NamedTuple):
    """A row of one side, or one that only tells the time."""

    side: str
    key: str
    time_ns: int
    order: int
    number: int


class Join(Operator, Protocol):
    """Any join of two sides."""

    def add(self, state: Any, rows: Rows, sides: Sides) -> Joined:
        """Return what is known by these rows."""


def in_order(row: Row) -> tuple[int, str, int, int]:
    """Return what rows known by one row are ordered by."""
    return (row.time_ns, row.key, row.order, row.number)


def shuffled(rows: Sequence[Row], lateness_ns: int, seed: int) -> list[Row]:
    """Return rows as they come if none is more than the lateness behind."""
    delays = np.random.default_rng(seed).uniform(0, lateness_ns, len(rows))
    arrivals = np.array([row.time_ns for row in rows]) + delays
    return [rows[index] for index in np.argsort(arrivals, kind="stable")]


def told(
    join: Join, rows: Sequence[Row], cuts: Sequence[int], restart_after: set[int]
) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """Return what the operator says of rows in batches cut so, its state committed after each.

    As (row, key, number of left, number of right), None for no row; and the counts.
    """
    table = operator_table("test.row_by_key.v1", {"join": join})
    state: ObjectState[Any] = table.open()
    store: dict[PageKey, bytes] = {}
    emitted: list[tuple[Any, ...]] = []
    counts: dict[str, int] = {}
    time_by_number = {row.number: row.time_ns for row in rows} | {None: None}
    for batch, (first, end) in enumerate(pairwise([0, *cuts, len(rows)])):
        found = join.add(state.edit("join"), *columns_of(rows[first:end]))
        for cause, row in zip(found.causes.tolist(), found.records.to_pylist(), strict=True):
            left = None if row["name"] is None else int(row["name"])
            right = row["right_price"]
            assert (row["right_note"] is None) == (right is None)
            assert row["time_ns"] == time_by_number[left]
            assert row["right_time_ns"] == time_by_number[right]
            emitted.append((first + cause, row["key"], left, right))
        for name, count in found.left_out.counts.items():
            counts[name] = counts.get(name, 0) + count
        keep_changes(store, state)
        if batch in restart_after:
            state = table.open()
            state.restore(store)
    return emitted, counts


def columns_of(rows: Sequence[Row]) -> tuple[Rows, Sides]:
    """Return rows as the operator takes them."""
    lefts = [row for row in rows if row.side == "left"]
    rights = [row for row in rows if row.side == "right"]
    return Rows(
        pa.array([row.key for row in rows], pa.string()),
        np.array([row.time_ns for row in rows], np.int64),
        np.array([row.order for row in rows], np.int64),
        np.array([row.side == "told" for row in rows], np.bool_),
    ), Sides(
        np.array([row.side == "left" for row in rows], np.bool_),
        pa.record_batch({"name": pa.array([str(row.number) for row in lefts], pa.string())}),
        pa.record_batch(
            {
                "price": pa.array([row.number for row in rights], pa.int64()),
                "note": pa.array(["x"] * len(rights), pa.string()),
            }
        ),
    )
