"""What a join is given of its two sides in one order of arrival, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.batch import Batch, BoolArray, IntArray
from headrace.errors import InvariantError, UsageError
from headrace.operators.held_rows import LEFT, NONE, RIGHT, Held, HeldRows, concatenated
from headrace.operators.rows import (
    LATE,
    PUNCTUATION,
    TAKEN,
    Fates,
    LatePolicy,
    LeftOut,
    Rows,
    latest_at,
)

UnmatchedPolicy: TypeAlias = Literal["null", "drop"]
"""What becomes of left rows without a right one: they come out with nulls, or are only counted."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of adding rows.

    `records` has the columns key, time_ns (the left row's), right_time_ns, those of the left side,
    and those of the right side with `right_` before their names; a side without a row is null.
    `causes` is for each of its rows the row of the call by which it was known.
    """

    records: pa.RecordBatch
    causes: IntArray
    left_out: LeftOut


@dataclass(frozen=True, slots=True)
class Sides:
    """Which rows of a call are left ones, and the columns of each side's rows, in their order.

    Shapes:  is_left (n,); `left` and `right` as many rows as there are of that side, those that
             only tell the time not counted.
    """

    is_left: BoolArray
    left: pa.RecordBatch
    right: pa.RecordBatch


def sides_of(batch: Batch, *, key: str, time: str, order: str | None = None) -> tuple[Rows, Sides]:
    """Return what a join is given of a step that reads two topics, the first of them as the left.

    `key`, `time` and `order` name fields that both have; of a row the key is the field's text.
    """
    left, right = (part.records for part in batch.parts)
    is_left = batch.order_parts == LEFT
    places = pa.array(np.where(is_left, batch.order_rows, left.num_rows + batch.order_rows))

    def column(name: str, kind: pa.DataType) -> pa.Array:
        both = [side.column(name).cast(kind) for side in (left, right)]
        return pa.concat_arrays(both).take(places)

    orders = None if order is None else column(order, pa.int64()).to_numpy()
    rows = Rows(column(key, pa.string()), column(time, pa.int64()).to_numpy(), orders)
    lefts, rights = (pa.array(batch.order_rows[mine]) for mine in (is_left, ~is_left))
    return rows, Sides(is_left, left.take(lefts), right.take(rights))


@dataclass(slots=True)
class Call:
    """One call of a join's `add`: fates are written in place, what comes out is gathered."""

    rows: Rows
    orders: IntArray
    fates: Fates
    is_left: BoolArray
    record_rows: IntArray
    records: tuple[pa.RecordBatch, pa.RecordBatch]
    counts: dict[str, int] = field(default_factory=dict)
    found: list[tuple[pa.RecordBatch, IntArray]] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Rows, sides: Sides, schemas: tuple[pa.Schema, pa.Schema]) -> "Call":
        """Return a call before any row of it was looked at.

        Raises:  InvariantError if there are not as many records as rows of a side.
        """
        orders = np.zeros(len(rows), np.int64) if rows.orders is None else rows.orders
        told = np.zeros(len(rows), np.bool_) if rows.punctuation is None else rows.punctuation
        record_rows = np.zeros(len(rows), np.int64)
        for mine, records in ((sides.is_left, sides.left), (~sides.is_left, sides.right)):
            place = mine & ~told
            record_rows[place] = np.arange(count := int(place.sum()))
            if records.num_rows != count:
                raise InvariantError(
                    f"join: expected {count} records of a side, found {records.num_rows}"
                )
        left, right = (
            records.select(schema.names).cast(schema)
            for records, schema in zip((sides.left, sides.right), schemas, strict=True)
        )
        return cls(rows, orders, rows.fates(), sides.is_left, record_rows, (left, right))

    def count(self, name: str, number: int) -> None:
        """Count rows the join left out, or did not treat as declared."""
        if number:
            self.counts[name] = self.counts.get(name, 0) + number

    def may_exceed(self, state: HeldRows, span: tuple[int, int], most: tuple[int, int]) -> bool:
        """Return whether rows from first to before end may be more of a side than may be held."""
        first, end = span
        lefts = int(self.is_left[first:end].sum())
        left, right = (len(side) for side in state.sides)
        return left + lefts > most[LEFT] or right + end - first - lefts > most[RIGHT]

    def move_watermarks(
        self, state: HeldRows, span: tuple[int, int], lateness_ns: int
    ) -> tuple[IntArray, IntArray]:
        """Move the watermarks of both sides, tell the late rows; return the watermarks a row."""
        rows = slice(*span)
        fates, times, is_left = self.fates[rows], self.rows.times_ns[rows], self.is_left[rows]
        watermarks = []
        for side, mine in ((LEFT, is_left), (RIGHT, ~is_left)):
            before = state.latest_ns[side]
            counted = np.where(mine | (fates == PUNCTUATION), times, before)
            latest = latest_at(counted, fates, before)
            state.latest_ns[side] = int(latest[-1])
            watermarks.append(latest - lateness_ns)
            fates[mine & (fates == TAKEN) & (times < watermarks[side])] = LATE
        return watermarks[LEFT], watermarks[RIGHT]

    def arrivals(self, span: tuple[int, int], side: int, arrived: int) -> Held:
        """Return the rows of a side that are taken; the first of the span has number `arrived`."""
        first, end = span
        mine = self.is_left[first:end] == (side == LEFT)
        rows = first + np.flatnonzero(mine & (self.fates[first:end] == TAKEN))
        return Held(
            self.rows.keys.take(pa.array(rows)).cast(pa.string()),
            self.rows.times_ns[rows],
            self.orders[rows],
            arrived + rows - first,
            self.records[side].take(pa.array(self.record_rows[rows])),
        )

    def joined(self, late: LatePolicy) -> Joined:
        """Return all that was found, and what was left out."""
        if not self.found:
            nothing = [Held.nothing(records.schema) for records in self.records]
            none = np.zeros(0, np.int64)
            self.found.append((joined_records(nothing, (none, none)), none))
        is_late = self.fates == LATE
        left_out = LeftOut(self.fates, late)
        left_out.counts.pop("late", None)
        self.count("late_left", int((is_late & self.is_left).sum()))
        self.count("late_right", int((is_late & ~self.is_left).sum()))
        left_out.counts |= self.counts
        causes = np.concatenate([causes for _, causes in self.found])
        return Joined(concatenated([records for records, _ in self.found]), causes, left_out)


def joined_records(sides: Sequence[Held], places: tuple[IntArray, IntArray]) -> pa.RecordBatch:
    """Return rows of both sides beside each other.

    Shapes:  `places` (n,) each, of the rows of that side, NONE where there is none.
    """
    lefts, rights = sides
    left, right = (pa.array(found, mask=found == NONE) for found in places)
    columns = {
        "key": pc.coalesce(lefts.keys.take(left), rights.keys.take(right)),
        "time_ns": pa.array(lefts.times).take(left),
        "right_time_ns": pa.array(rights.times).take(right),
    }
    for name, column in zip(lefts.records.schema.names, lefts.records.columns, strict=True):
        columns[name] = column.take(left)
    for name, column in zip(rights.records.schema.names, rights.records.columns, strict=True):
        columns[f"right_{name}"] = column.take(right)
    return pa.RecordBatch.from_pydict(columns)


def require_most(name: str, value: int, most: int, *, least: int = 2) -> None:
    """Refuse a limit of a join that cannot be.

    Raises:  UsageError.
    """
    if not least <= value <= most:
        raise UsageError(f"operator, join: expected {name} from {least} to {most}, found {value}")
