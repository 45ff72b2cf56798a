"""An interval join says what a slow reference says, whatever the cut, restarts and the shuffle."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.operators import IntervalJoin
from tests.examples import examples
from tests.join_rows import LEFT, RIGHT, SIDES, Row, in_order, shuffled, told


@dataclass
class Reference:
    """Takes one row at a time; emits (row, key, number of left, number of right)."""

    join: IntervalJoin
    held: dict[str, list[Row]] = field(default_factory=lambda: {"left": [], "right": []})
    matched: set[int] = field(default_factory=set)
    latest: dict[str, int] = field(default_factory=lambda: {"left": -(2**62), "right": -(2**62)})
    emitted: list[tuple[Any, ...]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def take(self, number: int, row: Row) -> None:
        sides = ("left", "right") if row.side == "told" else (row.side,)
        for side in sides:
            self.latest[side] = max(self.latest[side], row.time_ns)
        if row.side != "told":
            if row.time_ns < self.latest[row.side] - self.join.lateness_ns:
                self._count(f"late_{row.side}", 1)
            else:
                self._pair(number, row)
                self.held[row.side].append(row)
        passed = self.latest["right"] - self.join.lateness_ns
        over = [left for left in self.held["left"] if left.time_ns + self.join.upper_ns < passed]
        self._drop_lefts(number, over)
        passed = self.latest["left"] - self.join.lateness_ns
        self.held["right"] = [
            right for right in self.held["right"] if right.time_ns - self.join.lower_ns >= passed
        ]
        for side, most in (("left", self.join.left_rows_max), ("right", self.join.right_rows_max)):
            if len(self.held[side]) > most:
                self._forget(number, side)

    def _pair(self, number: int, row: Row) -> None:
        is_left = row.side == "left"
        found = []
        for other in self.held["right" if is_left else "left"]:
            left, right = (row, other) if is_left else (other, row)
            apart = right.time_ns - left.time_ns
            if left.key == right.key and self.join.lower_ns <= apart <= self.join.upper_ns:
                found.append((other, left, right))
        found.sort(key=lambda pair: in_order(pair[0]))
        self._count("pair_left_out", max(len(found) - self.join.pairs_a_row_max, 0))
        for _, left, right in found[-self.join.pairs_a_row_max :]:
            self.matched.add(left.number)
            self.emitted.append((number, left.key, left.number, right.number))

    def _drop_lefts(self, number: int, lefts: Sequence[Row]) -> None:
        for left in sorted(lefts, key=in_order):
            self.held["left"].remove(left)
            if left.number in self.matched:
                continue
            self._count("unmatched", 1)
            if self.join.unmatched == "null":
                self.emitted.append((number, left.key, left.number, None))

    def _forget(self, number: int, side: str) -> None:
        held = sorted(self.held[side], key=lambda row: (row.time_ns, row.order, row.number))
        older = held[: len(held) // 2]
        self._count(f"{side}_forgotten", len(older))
        if side == "left":
            self._drop_lefts(number, older)
        else:
            self.held[side] = [row for row in self.held[side] if row not in older]

    def _count(self, name: str, number: int) -> None:
        if number:
            self.counts[name] = self.counts.get(name, 0) + number


@st.composite
def joins(draw: st.DrawFn, *, rows_max: int = 3, pairs_max: int = 1) -> IntervalJoin:
    lower, upper = sorted(draw(st.tuples(*[st.sampled_from([-1_000, -7, -1, 0, 3, 9])] * 2)))
    return IntervalJoin(
        LEFT,
        RIGHT,
        lower_ns=lower,
        upper_ns=upper,
        lateness_ns=draw(st.sampled_from([0, 4, 15])),
        unmatched=draw(st.sampled_from(["null", "drop"])),
        left_rows_max=draw(st.integers(rows_max, rows_max + 60)),
        right_rows_max=draw(st.integers(rows_max, rows_max + 60)),
        pairs_a_row_max=draw(st.integers(pairs_max, pairs_max + 9)),
    )


@settings(max_examples=examples(150), deadline=None)
@given(
    joins(),
    st.lists(
        st.tuples(st.sampled_from(SIDES), st.sampled_from("ab"), st.integers(-9, 12)), max_size=60
    ),
    st.data(),
)
def test_interval_joins_equal_the_reference_however_the_input_is_cut(
    join: IntervalJoin, steps: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    rows, now = [], 1_000
    for number, (side, key, step) in enumerate(steps):
        now += step
        rows.append(Row(side, key, now, number % 2, number))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    restarts = data.draw(st.sets(st.integers(0, len(cuts))))
    reference = Reference(join)
    for number, row in enumerate(rows):
        reference.take(number, row)

    emitted, counts = told(join, rows, cuts, restarts)

    assert emitted == reference.emitted
    assert counts == reference.counts


@settings(max_examples=examples(80), deadline=None)
@given(
    joins(rows_max=100, pairs_max=100),
    st.lists(
        st.tuples(st.sampled_from(["left", "right"]), st.sampled_from("ab"), st.integers(0, 90)),
        max_size=50,
    ),
    st.integers(0, 2**32 - 1),
)
def test_a_shuffle_within_the_lateness_changes_no_pair(
    join: IntervalJoin, drawn: list[tuple[str, str, int]], seed: int
) -> None:
    in_time = sorted(drawn, key=lambda one: one[2])
    rows = [Row(side, key, time, n, n) for n, (side, key, time) in enumerate(in_time)]
    rows.append(Row("told", "", 10_000, 0, len(rows)))
    pairs = [
        (left.number, right.number)
        for left in rows
        for right in rows
        if (left.side, right.side, left.key) == ("left", "right", right.key)
        and join.lower_ns <= right.time_ns - left.time_ns <= join.upper_ns
    ]

    found, counts = told(join, shuffled(rows, join.lateness_ns, seed), [len(rows) // 2], set())

    alone = {row.number for row in rows if row.side == "left"} - {left for left, _ in pairs}
    assert sorted(one[2:] for one in found if one[3] is not None) == sorted(pairs)
    assert {one[2] for one in found if one[3] is None} == (
        alone if join.unmatched == "null" else set()
    )
    assert counts == ({"unmatched": len(alone)} if alone else {})
