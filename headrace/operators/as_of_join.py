"""To each row of one side the last row of the other at or before its time, of the same key."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from headrace.batch import IntArray
from headrace.operators.held_rows import LEFT, NONE, RIGHT, Held, HeldRows, load_held
from headrace.operators.limits import LEFT_ROWS_MAX, RIGHT_ROWS_MAX
from headrace.operators.rows import LatePolicy, Rows, key_ranks, require_span
from headrace.operators.sides import (
    Call,
    Joined,
    Sides,
    UnmatchedPolicy,
    joined_records,
    require_most,
)


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
        require_most("left_rows_max", self.left_rows_max, LEFT_ROWS_MAX)
        require_most("right_rows_max", self.right_rows_max, RIGHT_ROWS_MAX)

    @property
    def layout(self) -> str:
        """Return what tells this way of writing rows from another."""
        return f"{self.left.to_string()}|{self.right.to_string()}"

    def new(self) -> HeldRows:
        """Return a state without rows."""
        return HeldRows.empty(self.left, self.right)

    def load(self, name: str, pages: Mapping[int, bytes]) -> HeldRows:
        """Return the state that these pages were dumped from."""
        return load_held(name, (self.left, self.right), pages)

    def advance(self, state: HeldRows, time_ns: int) -> Joined:
        """Return what is known when both sides are known to have come to `time_ns`."""
        nothing = [held.records for held in self.new().sides]
        return self.add(state, Rows.telling(time_ns), Sides(np.array([True]), *nothing))

    def add(self, state: HeldRows, rows: Rows, sides: Sides) -> Joined:
        """Add rows of both sides in one order; return what is known by them.

        Raises:  InvariantError if there are not as many records as rows of a side.
        """
        call = Call.of(rows, sides, (self.left, self.right))
        if len(rows):
            self._take(state, call, (0, len(rows)))
        return call.joined(self.late)

    def _take(self, state: HeldRows, call: Call, span: tuple[int, int]) -> None:
        """Add rows in one go, or half by half where a limit may be exceeded."""
        first, end = span
        most = (self.left_rows_max, self.right_rows_max)
        if end - first > 1 and call.may_exceed(state, span, most):
            for half in pairwise((first, (first + end) // 2, end)):
                self._take(state, call, half)
            return
        _, watermarks = call.move_watermarks(state, span, self.lateness_ns)
        arrived = [call.arrivals(span, side, state.arrived) for side in (LEFT, RIGHT)]
        before = len(state.sides[LEFT])
        state.sides = [held.with_later(new) for held, new in zip(state.sides, arrived, strict=True)]
        waiting = state.sides[LEFT]
        came = np.zeros(len(waiting), np.int64)
        came[before:] = waiting.numbers[before:] - state.arrived
        state.arrived += end - first
        known = np.searchsorted(watermarks, waiting.times, side="right")
        self._emit(state, call, np.maximum(came, known) + first, end)
        if len(state.sides[LEFT]) > self.left_rows_max:
            self._hurry(state, call, end)
        self._forget(state, call)

    def _emit(self, state: HeldRows, call: Call, known: IntArray, end: int) -> None:
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
        places = (np.arange(len(lefts)), matches)
        call.found.append((joined_records((lefts, rights), places), causes))

    def _hurry(self, state: HeldRows, call: Call, end: int) -> None:
        waiting = state.sides[LEFT]
        ranks = key_ranks(waiting.keys.to_pylist())
        order = np.lexsort((waiting.numbers, waiting.orders, ranks, waiting.times))
        known = np.full(len(waiting), end)
        known[order[: len(waiting) // 2]] = end - 1
        call.count("left_hurried", len(waiting) // 2)
        self._emit(state, call, known, end)

    def _forget(self, state: HeldRows, call: Call) -> None:
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


def matched(lefts: Held, rights: Held) -> IntArray:
    """Return for each left row the index of the last right row at or before it, or NONE.

    Of one key; of rights of one time the last by order, then by arrival.
    """
    count = len(rights)
    keys = pa.concat_arrays([rights.keys, lefts.keys]).dictionary_encode().indices.to_numpy()
    times = np.concatenate([rights.times, lefts.times])
    is_left = np.arange(len(keys)) >= count
    orders = np.concatenate([rights.orders, np.zeros(len(lefts), np.int64)])
    numbers = np.concatenate([rights.numbers, lefts.numbers])
    order = np.lexsort((numbers, orders, is_left, times, keys))
    # Where the last right row before each stands in the sorted rows, if it is of the same key.
    at = np.where(is_left[order], NONE, np.arange(len(order)))
    last = np.maximum.accumulate(at)
    same = (last != NONE) & (keys[order[last]] == keys[order])
    found = np.empty(len(keys), np.int64)
    found[order] = np.where(same, order[last], NONE)
    return found[count:]
