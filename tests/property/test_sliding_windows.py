"""Sliding windows say what a slow reference says, whatever the cut, restarts and the shuffle."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.operators import (
    Count,
    FloatSum,
    IntSum,
    Mean,
    OneValue,
    Rows,
    SlidingWindows,
    Vwap,
    operator_table,
)
from headrace.state.pages import PageKey
from headrace.state.tables import ObjectState
from tests.examples import examples
from tests.table_store import keep_changes
from tests.window_reference import Record, columns_of, said

AGGREGATES = {
    "count": Count(),
    "sum": IntSum("value"),
    "mean": Mean("value"),
    "least": OneValue("value", "min"),
    "largest": OneValue("value", "max"),
    "first": OneValue("value", "first"),
    "last": OneValue("value", "last"),
    "vwap": Vwap("value", "size"),
    "lightest": OneValue("weight", "min", "float"),
    "total_weight": FloatSum("weight"),
}
RECORD = pa.schema({"value": pa.int64(), "size": pa.int64(), "weight": pa.float64()})


@dataclass
class Reference:
    """Takes one record at a time; emits (row, key, time, value, what its window says)."""

    windows: SlidingWindows
    latest: int = -(2**62)
    waiting: list[tuple[int, Record]] = field(default_factory=list)
    past: list[tuple[int, Record]] = field(default_factory=list)
    emitted: list[tuple[Any, ...]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def take(self, row: int, record: Record) -> None:
        self.latest = max(self.latest, record.time_ns)
        watermark = self.latest - self.windows.lateness_ns
        if not record.punctuation:
            if record.time_ns < watermark:
                self._count("late", 1)
            else:
                self.waiting.append((row, record))
        due = [one for one in self.waiting if one[1].time_ns < watermark]
        self._emit(row, due)
        self.past += due
        self._forget(watermark)
        held = sorted(self.past + self.waiting, key=in_order)
        if len(held) > self.windows.rows_max:
            older = held[: len(held) // 2]
            hurried = [one for one in older if one in self.waiting]
            self._count("row_hurried", len(hurried))
            self._count("row_forgotten", len(older) - len(hurried))
            self._emit(row, hurried)
            self.past = [one for one in self.past if one not in older]

    def _forget(self, watermark: int) -> None:
        """Forget what no window can have, but a row more than it can, to see that it is cut."""
        kept = []
        for one in self.past:
            later = [o for o in self.past if o[1].key == one[1].key and in_order(o) > in_order(one)]
            if (
                one[1].time_ns > watermark - self.windows.span_ns
                and len(later) < self.windows.rows_a_window_max
            ):
                kept.append(one)
        self.past = kept

    def _emit(self, row: int, due: Sequence[tuple[int, Record]]) -> None:
        window_of = {
            one: [
                other
                for other in sorted(self.past + self.waiting, key=in_order)
                if other[1].key == one[1].key
                and one[1].time_ns - self.windows.span_ns < other[1].time_ns
                and in_order(other) <= in_order(one)
            ]
            for one in due
        }
        for one in sorted(due, key=lambda one: (one[1].time_ns, one[1].key, one[1].order, one[0])):
            window = window_of[one]
            self._count("window_cut", len(window) > self.windows.rows_a_window_max)
            records = [record for _, record in window[-self.windows.rows_a_window_max :]]
            weight = 0.0
            for record in records:
                weight += record.weight
            weights = [record.weight for record in records]
            record = one[1]
            told = (row, record.key, record.time_ns, record.value)
            self.emitted.append((*told, *said(records), min(weights), weight))
        self.waiting = [one for one in self.waiting if one not in due]

    def _count(self, name: str, number: int) -> None:
        if number:
            self.counts[name] = self.counts.get(name, 0) + number


def in_order(one: tuple[int, Record]) -> tuple[int, int, int]:
    return one[1].time_ns, one[1].order, one[0]


@st.composite
def declarations(draw: st.DrawFn, *, rows_max: int = 3, window_max: int = 1) -> SlidingWindows:
    return SlidingWindows(
        RECORD,
        span_ns=draw(st.sampled_from([1, 5, 20, 1_000])),
        aggregates=AGGREGATES,
        lateness_ns=draw(st.sampled_from([0, 4, 15])),
        rows_a_window_max=draw(st.integers(window_max, window_max + 9)),
        rows_max=draw(st.integers(rows_max, rows_max + 60)),
    )


VALUES = st.one_of(st.integers(0, 9), st.integers(0, 2**62 - 1))


@settings(max_examples=examples(150), deadline=None)
@given(
    declarations(),
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.integers(-9, 12),
            VALUES,
            st.floats(-1, 1),
            st.sampled_from([False] * 5 + [True]),
        ),
        max_size=60,
    ),
    st.data(),
)
def test_sliding_windows_equal_the_reference_however_the_input_is_cut(
    windows: SlidingWindows, steps: list[tuple[str, int, int, float, bool]], data: st.DataObject
) -> None:
    records, now = [], 1_000
    for number, (key, step, value, weight, told_only) in enumerate(steps):
        now += step
        records.append(Record(key, now, number % 2, value, weight, told_only))
    records.append(Record("", 10**6, 0, 0, 0.0, punctuation=True))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=6)))
    restarts = data.draw(st.sets(st.integers(0, len(cuts))))
    reference = Reference(windows)
    for row, record in enumerate(records):
        reference.take(row, record)

    emitted, counts = told(windows, records, cuts, restarts)

    assert emitted == reference.emitted  # floats to the last bit
    assert counts == reference.counts


@settings(max_examples=examples(80), deadline=None)
@given(
    declarations(rows_max=100),
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 90), VALUES, st.floats(-1, 1)), max_size=50
    ),
    st.integers(0, 2**32 - 1),
)
def test_a_shuffle_within_the_lateness_changes_nothing(
    windows: SlidingWindows, drawn: list[tuple[str, int, int, float]], seed: int
) -> None:
    in_time = sorted(drawn, key=lambda one: one[1])
    records = [Record(key, time, n, v, w) for n, (key, time, v, w) in enumerate(in_time)]
    records.append(Record("", 1_000, 0, 0, 0.0, punctuation=True))
    delays = np.random.default_rng(seed).uniform(0, windows.lateness_ns, len(records))
    arrivals = np.array([record.time_ns for record in records]) + delays
    shuffled = [records[index] for index in np.argsort(arrivals, kind="stable")]

    wanted, _ = told(windows, records, [], set())
    found, counts = told(windows, shuffled, [len(records) // 2], set())

    assert sorted(one[1:] for one in found) == sorted(one[1:] for one in wanted)
    assert len(found) == len(in_time)
    assert not counts.keys() - {"window_cut"}


def told(
    windows: SlidingWindows, records: Sequence[Record], cuts: Sequence[int], restarts: set[int]
) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """Return what the operator says of records in batches cut so; its state is committed."""
    table = operator_table("test.row_by_key.v1", {"windows": windows})
    state: ObjectState[Any] = table.open()
    store: dict[PageKey, bytes] = {}
    emitted: list[tuple[Any, ...]] = []
    counts: dict[str, int] = {}
    for batch, (first, end) in enumerate(pairwise([0, *cuts, len(records)])):
        found = windows.add(state.edit("windows"), *columns_of(records[first:end]))
        for cause, row in zip(found.causes.tolist(), found.records.to_pylist(), strict=True):
            del row["size"], row["weight"]
            emitted.append((first + cause, *row.values()))
        for name, count in found.left_out.counts.items():
            counts[name] = counts.get(name, 0) + count
        keep_changes(store, state)
        if batch in restarts:
            state = table.open()
            state.restore(store)
    return emitted, counts


def test_a_batch_without_records_says_nothing() -> None:
    windows = SlidingWindows(RECORD, 5, AGGREGATES, lateness_ns=0)
    nothing = Rows(pa.array([], pa.string()), np.zeros(0, np.int64))

    found = windows.add(windows.new(), nothing, pa.RecordBatch.from_pylist([], schema=RECORD))

    assert found.records.num_rows == len(found.causes) == 0
    assert found.records.schema.names == ["key", "time_ns", *RECORD.names, *AGGREGATES]
