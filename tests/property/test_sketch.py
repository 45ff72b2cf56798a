"""Quantiles of a sketch are as near as they say; sketches add up, in windows of every kind."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.operators import (
    Count,
    Hopping,
    Quantile,
    Rows,
    Session,
    Sketch,
    SlidingWindows,
    Windows,
    operator_table,
)
from tests.examples import examples

LEAST, LARGEST = 2.0, 1e6
QUANTILES = (0.0, 0.1, 0.5, 0.99, 1.0)
WITHIN = st.floats(LEAST, LARGEST)
SKETCH = Sketch("value", LEAST, LARGEST, number="float")


def counts_of(sketch: Sketch, values: Any) -> Any:
    return np.bincount(sketch.buckets_of(np.array(values)), minlength=sketch.buckets)


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(WITHIN, min_size=1, max_size=80),
    st.sampled_from([0.3, 0.05, 0.01, 0.005]),
    st.booleans(),
    st.data(),
)
def test_a_quantile_is_within_the_error_of_the_value_it_stands_for(
    values: list[float], error: float, signed: bool, data: st.DataObject
) -> None:
    sketch = Sketch("value", LEAST, LARGEST, error, "float", signed)
    if signed:
        signs = st.lists(st.sampled_from([-1, 1]), min_size=len(values), max_size=len(values))
        values = [value * sign for value, sign in zip(values, data.draw(signs), strict=True)]
    counts = counts_of(sketch, values)

    for quantile in QUANTILES:
        (told,) = sketch.quantiles(counts[:, None], quantile).to_pylist()
        exact = np.quantile(values, quantile, method="lower")
        # The last places of a float64 are no part of the bound.
        assert abs(told - exact) <= (sketch.relative_error + 1e-15) * abs(exact)

    assert sketch.relative_error <= error


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=40))
def test_quantiles_of_integers_are_as_near(values: list[int]) -> None:
    sketch = Sketch("value", least=1, largest=10**12)

    (told,) = sketch.quantiles(counts_of(sketch, values)[:, None], 0.5).to_pylist()

    exact = np.quantile(values, 0.5, method="lower")
    assert abs(told - exact) <= (sketch.relative_error + 1e-15) * exact


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(WITHIN, max_size=40), st.lists(WITHIN, max_size=40))
def test_sketches_of_parts_add_up_to_the_sketch_of_all(
    some: list[float], others: list[float]
) -> None:
    total = counts_of(SKETCH, [*some, *others])

    assert (counts_of(SKETCH, some) + counts_of(SKETCH, others) == total).all()


@settings(max_examples=examples(200), deadline=None)
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_buckets_ascend_with_the_values(one: float, other: float) -> None:
    sketch = Sketch("value", LEAST, LARGEST, number="float", signed=True)

    low, high = sketch.buckets_of(np.array(sorted([one, other])))

    assert 0 <= low <= high < sketch.buckets


def test_what_is_out_of_the_range_is_said_to_be_at_its_ends() -> None:
    values = np.array([-5.0, 0.0, 1.9, 1e9, math.inf, math.nan, -math.inf])

    unsigned = SKETCH.buckets_of(values)
    signed = Sketch("value", LEAST, LARGEST, number="float", signed=True).buckets_of(values)

    last, middle = SKETCH.buckets - 1, SKETCH.buckets - 1
    assert unsigned.tolist() == [0, 0, 0, last, last, -1, 0]
    assert signed.tolist()[1:] == [middle, middle, 2 * last, 2 * last, -1, 0]
    assert SKETCH.values_of_buckets()[0] == 0
    assert SKETCH.values_of_buckets()[last] == pytest.approx(LARGEST, rel=0.02)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), WITHIN), max_size=40),
    st.sampled_from([Hopping(10, 5), Session(7), "sliding"]),
    st.integers(0, 40),
)
def test_windows_tell_the_quantiles_of_their_records(
    drawn: list[tuple[str, int, float]], kind: Any, cut: int
) -> None:
    """Sessions merge sketches; the state goes through its pages in the middle."""
    aggregates = {"count": Count(), "p50": Quantile(SKETCH, 0.5), "p99": Quantile(SKETCH, 0.99)}
    record = pa.schema({"value": pa.float64()})
    windows = (
        SlidingWindows(record, 10, aggregates, lateness_ns=100)
        if kind == "sliding"
        else Windows(kind, aggregates, lateness_ns=100)
    )
    table = operator_table("test.windows_by_key.v1", {"windows": windows})
    state = table.open()
    store: dict[Any, bytes | None] = {}
    for part in (drawn[:cut], drawn[cut:]):
        keys = pa.array([key for key, _, _ in part], pa.string())
        rows = Rows(keys, np.array([time for _, time, _ in part], np.int64))
        values = pa.record_batch({"value": pa.array([v for _, _, v in part], pa.float64())})
        assert windows.add(state.edit("windows"), rows, values).records.num_rows == 0
        store |= state.changes()
        state = table.open()
        state.restore({page: value for page, value in store.items() if value is not None})

    found = windows.advance(state.edit("windows"), 10**6).records.to_pylist()

    assert bool(found) == bool(drawn)
    for row in found:
        inside = held_by(row, drawn)
        assert len(inside) == row["count"]
        for name, quantile in (("p50", 0.5), ("p99", 0.99)):
            exact = np.quantile(inside, quantile, method="lower")
            assert abs(row[name] - exact) <= (SKETCH.relative_error + 1e-15) * exact


def held_by(row: dict[str, Any], drawn: list[tuple[str, int, float]]) -> list[float]:
    """Return the values of a window; of a row's, all up to it: of one time as many as it says."""
    if "window_end_ns" in row:
        start, end = row["window_start_ns"], row["window_end_ns"]
        return [v for key, time, v in drawn if key == row["key"] and start <= time < end]
    time_ns = row["time_ns"]
    mine = [(time, v) for key, time, v in drawn if key == row["key"]]
    mine = sorted((one for one in mine if time_ns - 10 < one[0] <= time_ns), key=lambda o: o[0])
    return [v for _, v in mine][: row["count"]]


def test_nothing_but_nan_has_no_quantile() -> None:
    windows = Windows(Hopping(10, 10), {"p50": Quantile(SKETCH, 0.5)}, lateness_ns=0)
    state = windows.new()
    records = pa.record_batch({"value": pa.array([math.nan, math.nan, 3.0])})

    windows.add(state, Rows(pa.array(["a", "b", "b"]), np.array([1, 2, 3])), records)
    found = windows.advance(state, 10).records.column("p50").to_pylist()

    assert found[0] is None
    assert found[1] == pytest.approx(3.0, rel=0.01)


def test_quantiles_of_one_sketch_share_its_counters() -> None:
    both = {"p50": Quantile(SKETCH, 0.5), "p99": Quantile(SKETCH, 0.99)}

    held = Windows(Hopping(10, 10), both, lateness_ns=0).new()

    assert len(held.totals.ints) == SKETCH.buckets


def test_sketches_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="expected least up to largest"):
        Sketch("value", 0, 1)
    with pytest.raises(UsageError, match="error above 0"):
        Sketch("value", 1, 2, 0)
    with pytest.raises(UsageError, match="at most 8192 buckets"):
        Sketch("value", 1, 10**9, 1e-4)
    with pytest.raises(UsageError, match="at most 8192 buckets"):
        Sketch("value", 1, 2, 1e-18)
    with pytest.raises(UsageError, match="one from 0 to 1"):
        Quantile(SKETCH, 99)
    with pytest.raises(UsageError, match="counters a key"):
        Windows(Hopping(1_000, 1), {"p50": Quantile(SKETCH, 0.5)}, lateness_ns=0)
