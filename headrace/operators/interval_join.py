"""Rows of two sides, of one key, whose event times lie so near one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray
from headrace.errors import UsageError
from headrace.operators.held_rows import LEFT, NONE, RIGHT, Held, HeldRows, load_held
from headrace.operators.interval_kernel import Sorted, Wanted, count_pairs, fill_pairs
from headrace.operators.limits import LEFT_ROWS_MAX, PAIRS_A_ROW_MAX, RIGHT_ROWS_MAX, TIME_NS_LIMIT
from headrace.operators.rows import LatePolicy, Rows, key_ranks, require_span
from headrace.operators.sides import (
    Call,
    Joined,
    Sides,
    UnmatchedPolicy,
    joined_records,
    require_most,
)


class _Found(NamedTuple):
    """Rows to come out: places on each side, NONE for no row, and the rows of the call."""

    lefts: IntArray
    rights: IntArray
    causes: IntArray


@dataclass(frozen=True, slots=True)
class IntervalJoin:
    """Declares a join of left rows with all right rows of their key that are near in event time.

    Left at `t` and right at `u` are a pair if t + `lower_ns` <= u <= t + `upper_ns`; either bound
    may be negative. Every pair comes out once.
    **Watermarks.** One a side and partition: the largest event time seen there, less `lateness_ns`,
    moved row by row. A row before the watermark of its own side is late, left out, and counted; a
    dead letter if the policy is `dead`. Within the lateness rows may come in any order.
    **Emission.** A pair comes out by the row that made it one, the later to arrive of the two. In
    the order of those rows; of one, by the other's time, order, arrival. So the pairs do not depend
    on the order of arrival within the lateness, but the order in which they come out does.
    **Unmatched** left rows are only counted (`drop`: an inner join), or come out with nulls
    (`null`: a left join), once the right watermark is past t + `upper_ns`; by time, key, order.
    **Idle sides.** A row is held until the other side's watermark is past what it may pair with:
    a punctuation (`Rows`) moves both watermarks.
    **Limits.** When `left_rows_max` or `right_rows_max` rows of a side would be exceeded its older
    half is forgotten: later rows find no pair there. A row makes at most `pairs_a_row_max` pairs,
    with the latest of the other side by time; the rest are left out, and counted, and a left row
    that is left with none is unmatched. None of this depends on how the input is cut.

    Raises:  UsageError if the join cannot be.
    Counts:  `late_left`, `late_right`, `unmatched`, `left_forgotten`, `right_forgotten`,
             `pair_left_out`, `time_out_of_range`.
    Source:  Flink's interval join, which emits inner pairs as early; its watermark is the lesser of
             both sides', so that it drops fewer late rows and holds more of the others.
    """

    left: pa.Schema
    right: pa.Schema
    lower_ns: int
    upper_ns: int
    lateness_ns: int
    unmatched: UnmatchedPolicy = "drop"
    late: LatePolicy = "drop"
    left_rows_max: int = LEFT_ROWS_MAX
    right_rows_max: int = RIGHT_ROWS_MAX
    pairs_a_row_max: int = PAIRS_A_ROW_MAX

    def __post_init__(self) -> None:
        """Refuse a join that cannot be."""
        require_span("lateness_ns of a join", self.lateness_ns)
        if not -TIME_NS_LIMIT < self.lower_ns <= self.upper_ns < TIME_NS_LIMIT:
            raise UsageError(
                "operator, join: expected lower_ns up to upper_ns, both within 2^62 ns, found "
                f"{self.lower_ns} and {self.upper_ns}"
            )
        require_most("left_rows_max", self.left_rows_max, LEFT_ROWS_MAX)
        require_most("right_rows_max", self.right_rows_max, RIGHT_ROWS_MAX)
        require_most("pairs_a_row_max", self.pairs_a_row_max, PAIRS_A_ROW_MAX, least=1)

    @property
    def layout(self) -> str:
        """Return what tells this way of writing rows from another."""
        return f"interval {self.left.to_string()}|{self.right.to_string()}"

    def new(self) -> HeldRows:
        """Return a state without rows."""
        return HeldRows.empty(self.left, self.right)

    def load(self, name: str, pages: Mapping[int, bytes]) -> HeldRows:
        """Return the state that these pages were dumped from."""
        return load_held(name, (self.left, self.right), pages, marked=True)

    def advance(self, state: HeldRows, time_ns: int) -> Joined:
        """Return the rows that stay unmatched when both sides have come to `time_ns`."""
        nothing = [held.records for held in self.new().sides]
        return self.add(state, Rows.telling(time_ns), Sides(np.array([True]), *nothing))

    def add(self, state: HeldRows, rows: Rows, sides: Sides) -> Joined:
        """Add rows of both sides in one order; return the pairs they make.

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
        _, right_watermarks = call.move_watermarks(state, span, self.lateness_ns)
        arrived = [call.arrivals(span, side, state.arrived) for side in (LEFT, RIGHT)]
        cause_of_number = first - state.arrived
        state.arrived += end - first
        state.sides = [held.with_later(new) for held, new in zip(state.sides, arrived, strict=True)]
        state.marks = np.concatenate([state.marks, np.zeros(len(arrived[LEFT]), np.bool_)])
        pairs = self._pairs(state, call, arrived, cause_of_number)
        state.marks[pairs.lefts] = True
        known = np.searchsorted(
            right_watermarks, state.sides[LEFT].times + self.upper_ns, side="right"
        )
        causes = np.maximum(known + first, state.sides[LEFT].numbers + cause_of_number)
        due = known < end - first
        self._emit(state, call, [pairs, self._unmatched(state, call, due, causes)])
        self._let_go(state, due)
        for side in (LEFT, RIGHT):
            if len(state.sides[side]) > most[side]:
                self._forget(state, call, side, end - 1)

    def _pairs(
        self, state: HeldRows, call: Call, arrived: list[Held], cause_of_number: int
    ) -> _Found:
        """Return the pairs that those who arrived make with those who came before them."""
        left, right = state.sides
        codes = pa.concat_arrays([left.keys, right.keys]).dictionary_encode().indices.to_numpy()
        codes = codes.astype(np.int64)
        sides = (_Keyed(left, codes[: len(left)]), _Keyed(right, codes[len(left) :]))
        reaches = ((self.lower_ns, self.upper_ns), (-self.upper_ns, -self.lower_ns))
        lefts, rights, numbers = [], [], []
        for side, other in ((LEFT, RIGHT), (RIGHT, LEFT)):
            new = sides[side].last(len(arrived[side]))
            rows, others, more = _pairs_of(new, sides[other], reaches[side], self.pairs_a_row_max)
            call.count("pair_left_out", more)
            numbers.append(new.held.numbers[rows])
            rows = rows + len(sides[side].held) - len(new.held)
            lefts.append(rows if side == LEFT else others)
            rights.append(others if side == LEFT else rows)
        causes = np.concatenate(numbers) + cause_of_number
        return _Found(np.concatenate(lefts), np.concatenate(rights), causes)

    def _unmatched(self, state: HeldRows, call: Call, due: BoolArray, causes: IntArray) -> _Found:
        """Return the left rows that are due and have found no right one."""
        left = state.sides[LEFT]
        alone = np.flatnonzero(due & ~state.marks)
        call.count("unmatched", len(alone))
        if self.unmatched == "drop":
            alone = alone[:0]
        ranks = key_ranks(left.keys.take(pa.array(alone)).to_pylist())
        order = np.lexsort((left.orders[alone], ranks, left.times[alone]))
        alone = alone[order]
        return _Found(alone, np.full(len(alone), NONE), causes[alone])

    def _emit(self, state: HeldRows, call: Call, found: Sequence[_Found]) -> None:
        """Let rows come out in the order of their causes; of one as they were found."""
        lefts, rights, causes = (np.concatenate(columns) for columns in zip(*found, strict=True))
        if len(causes):
            order = np.argsort(causes, kind="stable")
            places = (lefts[order], rights[order])
            call.found.append((joined_records(state.sides, places), causes[order]))

    def _let_go(self, state: HeldRows, due: BoolArray) -> None:
        """Forget the rows nothing that is not late can pair with."""
        left, right = state.sides
        wanted = right.times - self.lower_ns >= state.latest_ns[LEFT] - self.lateness_ns
        state.sides = [
            held if keep.all() else held.at(keep) for held, keep in ((left, ~due), (right, wanted))
        ]
        state.marks = state.marks[~due]

    def _forget(self, state: HeldRows, call: Call, side: int, row: int) -> None:
        """Forget the older half of a side, as of a row of the call."""
        held = state.sides[side]
        older = np.zeros(len(held), np.bool_)
        older[np.lexsort((held.orders, held.times))[: len(held) // 2]] = True
        call.count("left_forgotten" if side == LEFT else "right_forgotten", int(older.sum()))
        if side == LEFT:
            causes = np.full(len(held), row)
            self._emit(state, call, [self._unmatched(state, call, older, causes)])
            state.marks = state.marks[~older]
        state.sides[side] = held.at(~older)


class _Keyed(NamedTuple):
    """Rows of a side, and their keys as codes that both sides share."""

    held: Held
    codes: IntArray

    def last(self, count: int) -> "_Keyed":
        """Return the last so many rows."""
        places = np.arange(len(self.codes) - count, len(self.codes))
        return _Keyed(self.held.at(places), self.codes[places])


def _pairs_of(
    new: _Keyed, others: _Keyed, reach: tuple[int, int], most: int
) -> tuple[IntArray, IntArray, int]:
    """Return which new rows pair with which others, ascending, and how many pairs are left out.

    Shapes:  (pairs,) twice, places in `new` and in `others`; these by time, order, arrival.
    """
    held = others.held
    order = np.lexsort((held.orders, held.times, others.codes))
    rows = Sorted(others.codes[order], held.times[order], held.numbers[order])
    times = new.held.times
    wanted = Wanted(new.codes, times + reach[0], times + reach[1], new.held.numbers)
    counts, more = count_pairs(rows, wanted, most)
    places = fill_pairs(rows, wanted, counts)
    return np.repeat(np.arange(len(counts)), counts), order[places], more
