"""To each row of one side the last row of the other at or before its time, of the same key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray
from headrace.errors import InvariantError, UsageError
from headrace.operators.join_state import (
    LEFT,
    NONE,
    RIGHT,
    Held,
    JoinState,
    concatenated,
    load_join,
    matched,
)
from headrace.operators.limits import LEFT_ROWS_MAX, RIGHT_ROWS_MAX
from headrace.operators.rows import (
    LATE,
    PUNCTUATION,
    TAKEN,
    Fates,
    LatePolicy,
    LeftOut,
    Rows,
    key_ranks,
    latest_at,
    require_span,
)

UnmatchedPolicy: TypeAlias = Literal["null", "drop"]
"""What becomes of left rows without a right one: they come out with nulls, or are only counted."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of adding rows.

    `records` has the columns key, time_ns (the left row's), right_time_ns (null where there is no
    right row), those of the left side, and those of the right side with `right_` before their
    names. `causes` is for each of its rows the row of the call by which it was known.
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


@dataclass(slots=True)
class _Call:
    """One call of `add`: fates are written in place, what comes out is gathered."""

    rows: Rows
    orders: IntArray
    fates: Fates
    is_left: BoolArray
    record_rows: IntArray
    records: tuple[pa.RecordBatch, pa.RecordBatch]
    counts: dict[str, int] = field(default_factory=dict)
    found: list[tuple[pa.RecordBatch, IntArray]] = field(default_factory=list)

    def count(self, name: str, number: int) -> None:
        if number:
            self.counts[name] = self.counts.get(name, 0) + number


@dataclass(frozen=True, slots=True)
class AsOfJoin:
    """Declares a join of each left row with the last right row of its key at or before its time.

    A right row of the left one's own time counts; one more than `tolerance_ns` older does not. Of
    right rows of one time the last by `Rows.orders`, then by arrival, counts.
    **Watermarks.** One a side and partition: the largest event time seen there, less `lateness_ns`,
    moved row by row. A left row waits until the right watermark is past its time: then no right row
    can come that would count. A row before the watermark of its own side is late, left out, and
    counted; a dead letter if the policy is `dead`. Within the lateness rows may come in any order.
    **Emission.** In order of the row by which it was known, then time, key, order, arrival.
    **Unmatched** left rows come out with nulls, or are dropped, as the policy says; counted.
    **Idle sides.** While the right side says nothing left rows wait: a punctuation (`Rows`) moves
    both watermarks. An idle left side makes right rows pile up, for a left row may yet come.
    **Limits.** When `left_rows_max` rows would be exceeded the older half of those that wait comes
    out as it is then known (`left_hurried`); beyond `right_rows_max` the older half of the right
    rows is forgotten (`right_forgotten`). Neither depends on how the input is cut.

    Raises:  UsageError if the join cannot be.
    Counts:  `late_left`, `late_right`, `unmatched`, `left_hurried`, `right_forgotten`,
             `time_out_of_range`.
    Source:  `pandas.merge_asof(direction="backward")`; Flink's event-time temporal join, whose
             versions are our right rows, and which waits for the watermarks of both sides.
    """

    left: pa.Schema
    right: pa.Schema
    tolerance_ns: int
    lateness_ns: int
    unmatched: UnmatchedPolicy = "null"
    late: LatePolicy = "drop"
    left_rows_max: int = LEFT_ROWS_MAX
    right_rows_max: int = RIGHT_ROWS_MAX

    def __post_init__(self) -> None:
        """Refuse a join that cannot be."""
        require_span("tolerance_ns of a join", self.tolerance_ns)
        require_span("lateness_ns of a join", self.lateness_ns)
        for name, rows, most in (
            ("left_rows_max", self.left_rows_max, LEFT_ROWS_MAX),
            ("right_rows_max", self.right_rows_max, RIGHT_ROWS_MAX),
        ):
            if not 1 < rows <= most:
                raise UsageError(f"operator, join: expected {name} from 2 to {most}, found {rows}")

    @property
    def layout(self) -> str:
        """Return what tells this way of writing rows from another."""
        return f"{self.left.to_string()}|{self.right.to_string()}"

    def new(self) -> JoinState:
        """Return a state without rows."""
        return JoinState([Held.nothing(self.left), Held.nothing(self.right)])

    def load(self, name: str, pages: Mapping[int, bytes]) -> JoinState:
        """Return the state that these pages were dumped from."""
        return load_join(name, (self.left, self.right), pages)

    def advance(self, state: JoinState, time_ns: int) -> Joined:
        """Return what is known when both sides are known to have come to `time_ns`."""
        nothing = self.new().sides
        sides = Sides(np.array([True]), nothing[LEFT].records, nothing[RIGHT].records)
        return self.add(state, Rows.telling(time_ns), sides)

    def add(self, state: JoinState, rows: Rows, sides: Sides) -> Joined:
        """Add rows of both sides in one order; return what is known by them.

        Raises:  InvariantError if there are not as many records as rows of a side.
        """
        call = self._call(rows, sides)
        if len(rows):
            self._take(state, call, 0, len(rows))
        late = call.fates == LATE
        left_out = LeftOut(call.fates, self.late)
        left_out.counts.pop("late", None)
        call.count("late_left", int((late & call.is_left).sum()))
        call.count("late_right", int((late & ~call.is_left).sum()))
        left_out.counts |= call.counts
        if not call.found:
            none = np.zeros(0, np.int64)
            empty = self.new().sides
            call.found.append((self._records(empty[LEFT], empty[RIGHT], none), none))
        causes = np.concatenate([causes for _, causes in call.found])
        return Joined(concatenated([records for records, _ in call.found]), causes, left_out)

    def _call(self, rows: Rows, sides: Sides) -> _Call:
        fates = rows.fates()
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
        left, right = sides.left.select(self.left.names), sides.right.select(self.right.names)
        records = (left.cast(self.left), right.cast(self.right))
        return _Call(rows, orders, fates, sides.is_left, record_rows, records)

    def _take(self, state: JoinState, call: _Call, first: int, end: int) -> None:
        """Add rows in one go, or half by half where a limit may be exceeded."""
        lefts = int(call.is_left[first:end].sum())
        held = [len(side) for side in state.sides]
        full = held[LEFT] + lefts > self.left_rows_max
        full |= held[RIGHT] + end - first - lefts > self.right_rows_max
        if full and end - first > 1:
            middle = (first + end) // 2
            self._take(state, call, first, middle)
            self._take(state, call, middle, end)
            return
        watermarks = self._watermarks(state, call, first, end)
        arrived = [self._arrivals(state, call, (first, end), side) for side in (LEFT, RIGHT)]
        state.arrived += end - first
        before = len(state.sides[LEFT])
        state.sides = [held.with_later(new) for held, new in zip(state.sides, arrived, strict=True)]
        waiting = state.sides[LEFT]
        came = np.zeros(len(waiting), np.int64)
        came[before:] = waiting.numbers[before:] - (state.arrived - (end - first))
        known = np.searchsorted(watermarks, waiting.times, side="right")
        self._emit(state, call, np.maximum(came, known) + first, end)
        if len(state.sides[LEFT]) > self.left_rows_max:
            self._hurry(state, call, end)
        self._forget(state, call)

    def _watermarks(self, state: JoinState, call: _Call, first: int, end: int) -> IntArray:
        """Move the watermarks, tell the late rows; return the right watermark at each row."""
        span = slice(first, end)
        fates, times, is_left = call.fates[span], call.rows.times_ns[span], call.is_left[span]
        watermarks = []
        for side in (LEFT, RIGHT):
            mine = is_left if side == LEFT else ~is_left
            before = state.latest_ns[side]
            counted = np.where(mine | (fates == PUNCTUATION), times, before)
            latest = latest_at(counted, fates, before)
            state.latest_ns[side] = int(latest[-1])
            watermarks.append(latest - self.lateness_ns)
            fates[mine & (fates == TAKEN) & (times < watermarks[side])] = LATE
        return watermarks[RIGHT]

    def _arrivals(self, state: JoinState, call: _Call, span: tuple[int, int], side: int) -> Held:
        first, end = span
        mine = call.is_left[first:end] == (side == LEFT)
        rows = first + np.flatnonzero(mine & (call.fates[first:end] == TAKEN))
        return Held(
            call.rows.keys.take(pa.array(rows)).cast(pa.string()),
            call.rows.times_ns[rows],
            call.orders[rows],
            state.arrived + rows - first,
            call.records[side].take(pa.array(call.record_rows[rows])),
        )

    def _emit(self, state: JoinState, call: _Call, known: IntArray, end: int) -> None:
        """Let the left rows come out that are known before row `end` of the call."""
        due = known < end
        if not due.any():
            return
        lefts, rights, causes = state.sides[LEFT].at(due), state.sides[RIGHT], known[due]
        ranks = key_ranks(lefts.keys.to_pylist())
        order = np.lexsort((lefts.numbers, lefts.orders, ranks, lefts.times, causes))
        lefts, causes = lefts.at(order), causes[order]
        state.sides[LEFT] = state.sides[LEFT].at(~due)
        matches = matched(lefts, rights)
        ages = lefts.times - rights.times[matches] if len(rights) else lefts.times
        matches[(matches != NONE) & (ages > self.tolerance_ns)] = NONE
        call.count("unmatched", int((matches == NONE).sum()))
        if self.unmatched == "drop":
            some = matches != NONE
            lefts, matches, causes = lefts.at(some), matches[some], causes[some]
        call.found.append((self._records(lefts, rights, matches), causes))

    def _hurry(self, state: JoinState, call: _Call, end: int) -> None:
        waiting = state.sides[LEFT]
        ranks = key_ranks(waiting.keys.to_pylist())
        order = np.lexsort((waiting.numbers, waiting.orders, ranks, waiting.times))
        known = np.full(len(waiting), end)
        known[order[: len(waiting) // 2]] = end - 1
        call.count("left_hurried", len(waiting) // 2)
        self._emit(state, call, known, end)

    def _forget(self, state: JoinState, call: _Call) -> None:
        """Forget right rows no left row can want any more, and half of those beyond the limit."""
        rights, waiting = state.sides[RIGHT], state.sides[LEFT]
        if not len(rights):
            return
        wanted_ns = state.latest_ns[LEFT] - self.lateness_ns
        wanted_ns = min(wanted_ns, int(waiting.times.min())) if len(waiting) else wanted_ns
        old = np.flatnonzero(rights.times <= wanted_ns)
        if len(old):
            keys = rights.keys.take(pa.array(old)).dictionary_encode().indices.to_numpy()
            order = np.lexsort((old, rights.orders[old], rights.times[old], keys))
            last = np.ones(len(old), np.bool_)
            last[:-1] = keys[order][1:] != keys[order][:-1]
            kept = old[order[last]]
            kept = kept[rights.times[kept] >= wanted_ns - self.tolerance_ns]
            keep = rights.times > wanted_ns
            keep[kept] = True
            if not keep.all():
                rights = state.sides[RIGHT] = rights.at(keep)
        if len(rights) > self.right_rows_max:
            order = np.lexsort((rights.numbers, rights.orders, rights.times))
            call.count("right_forgotten", half := len(rights) // 2)
            state.sides[RIGHT] = rights.at(np.sort(order[half:]))

    def _records(self, lefts: Held, rights: Held, matches: IntArray) -> pa.RecordBatch:
        indexes = pa.array(matches, mask=matches == NONE)
        columns = {
            "key": lefts.keys,
            "time_ns": pa.array(lefts.times),
            "right_time_ns": pa.array(rights.times).take(indexes),
        }
        columns |= dict(zip(self.left.names, lefts.records.columns, strict=True))
        for name, column in zip(self.right.names, rights.records.columns, strict=True):
            columns[f"right_{name}"] = column.take(indexes)
        return pa.RecordBatch.from_pydict(columns)
