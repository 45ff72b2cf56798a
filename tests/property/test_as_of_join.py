"""A join says what a slow reference says, whatever the cut, the restarts and the shuffle."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.operators import AsOfJoin
from tests.examples import examples
from tests.join_rows import LEFT, RIGHT, SIDES, Row, in_order, shuffled, told


@dataclass
class Reference:
    """Takes one row at a time; emits (row, key, number of left, number of right)."""

    join: AsOfJoin
    waiting: list[Row] = field(default_factory=list)
    rights: list[Row] = field(default_factory=list)
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
                (self.waiting if row.side == "left" else self.rights).append(row)
        passed = self.latest["right"] - self.join.lateness_ns
        self._emit(number, [left for left in self.waiting if left.time_ns < passed])
        if len(self.waiting) > self.join.left_rows_max:
            half = sorted(self.waiting, key=in_order)[: len(self.waiting) // 2]
            self._count("left_hurried", len(half))
            self._emit(number, half)
        self._forget()

    def _emit(self, number: int, lefts: Sequence[Row]) -> None:
        for left in sorted(lefts, key=in_order):
            self.waiting.remove(left)
            oldest = left.time_ns - self.join.tolerance_ns
            found = [
                right
                for right in self.rights
                if right.key == left.key and oldest <= right.time_ns <= left.time_ns
            ]
            if not found:
                self._count("unmatched", 1)
                if self.join.unmatched == "drop":
                    continue
            last = (
                max(found, key=lambda right: (right.time_ns, right.order, right.number))
                if found
                else None
            )
            self.emitted.append((number, left.key, left.number, last.number if last else None))

    def _forget(self) -> None:
        """Forget what cannot matter, as far as the limit goes by what is held."""
        wanted = self.latest["left"] - self.join.lateness_ns
        wanted = min([wanted, *(left.time_ns for left in self.waiting)])
        kept = []
        for right in self.rights:
            newer = [
                other
                for other in self.rights
                if other.key == right.key
                and other.time_ns <= wanted
                and (other.time_ns, other.order, other.number)
                > (right.time_ns, right.order, right.number)
            ]
            too_old = right.time_ns < wanted - self.join.tolerance_ns
            if right.time_ns > wanted or not (newer or too_old):
                kept.append(right)
        self.rights = kept
        if len(kept) > self.join.right_rows_max:
            kept.sort(key=lambda right: (right.time_ns, right.order, right.number))
            self._count("right_forgotten", len(kept) // 2)
            self.rights = kept[len(kept) // 2 :]

    def _count(self, name: str, number: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + number


@st.composite
def joins(draw: st.DrawFn, *, rows_max: int = 3) -> AsOfJoin:
    return AsOfJoin(
        LEFT,
        RIGHT,
        tolerance_ns=draw(st.sampled_from([0, 5, 1_000])),
        lateness_ns=draw(st.sampled_from([0, 4, 15])),
        unmatched=draw(st.sampled_from(["null", "drop"])),
        left_rows_max=draw(st.integers(rows_max, rows_max + 60)),
        right_rows_max=draw(st.integers(rows_max, rows_max + 60)),
    )


@settings(max_examples=examples(150), deadline=None)
@given(
    joins(),
    st.lists(
        st.tuples(st.sampled_from(SIDES), st.sampled_from("ab"), st.integers(-9, 12)), max_size=60
    ),
    st.data(),
)
def test_joins_equal_the_reference_however_the_input_is_cut(
    join: AsOfJoin, steps: list[tuple[str, str, int]], data: st.DataObject
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
    joins(rows_max=100),
    st.lists(
        st.tuples(st.sampled_from(["left", "right"]), st.sampled_from("ab"), st.integers(0, 90)),
        max_size=50,
    ),
    st.integers(0, 2**32 - 1),
)
def test_a_shuffle_within_the_lateness_changes_nothing(
    join: AsOfJoin, drawn: list[tuple[str, str, int]], seed: int
) -> None:
    in_time = sorted(drawn, key=lambda one: one[2])
    rows = [Row(side, key, time, n, n) for n, (side, key, time) in enumerate(in_time)]
    rows.append(Row("told", "", 1_000, 0, len(rows)))

    wanted, _ = told(join, rows, [], set())
    found, counts = told(join, shuffled(rows, join.lateness_ns, seed), [len(rows) // 2], set())

    assert sorted(one[1:3] for one in found) == sorted(one[1:3] for one in wanted)
    assert {one[2]: one[3] for one in found} == {one[2]: one[3] for one in wanted}
    assert not counts.keys() - {"unmatched"}
