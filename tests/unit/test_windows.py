"""What windows refuse, count and hand back; what they compute is held to tests/property."""

import math

import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import InvariantError, UsageError
from headrace.operators import (
    Count,
    FloatSum,
    Hopping,
    IntSum,
    OneValue,
    Rows,
    Session,
    SlidingWindows,
    Vwap,
    Windows,
    WindowState,
    operator_table,
    tumbling,
)

SECOND_NS = 10**9


def counting(**choices: object) -> Windows:
    return Windows(tumbling(10), {"count": Count()}, **{"lateness_ns": 0, **choices})  # type: ignore[arg-type]


def rows(*records: tuple[str, int]) -> tuple[Rows, pa.RecordBatch]:
    keys, times = zip(*records, strict=True)
    found = Rows(pa.array(keys), np.array(times))
    return found, pa.record_batch({"value": pa.array([float(time) for time in times])})


def test_a_window_is_emitted_once_by_the_record_that_moved_the_watermark() -> None:
    windows = counting(lateness_ns=2)
    state = windows.new()

    found = windows.add(state, *rows(("b", 1), ("a", 9), ("a", 11), ("a", 12), ("a", 13)))

    assert found.records.column("key").to_pylist() == ["a", "b"]
    assert found.records.column("window_end_ns").to_pylist() == [10, 10]
    assert found.records.column("is_final").to_pylist() == [True, True]
    assert found.causes.tolist() == [3, 3]
    assert len(state) == 1


def test_a_late_record_is_counted_and_dead_only_if_the_policy_says_so() -> None:
    late = rows(("a", 25), ("a", 5))

    dropped = (windows := counting()).add(windows.new(), *late).left_out
    killed = (windows := counting(late="dead")).add(windows.new(), *late).left_out

    assert dropped.counts == killed.counts == {"late": 1}
    assert dropped.dead() == []
    assert [(dead.part, dead.row, dead.cause) for dead in killed.dead(1)] == [(1, 1, "late")]
    assert killed.rows().tolist() == [1]


def test_an_idle_partition_holds_its_windows_until_it_is_told_the_time() -> None:
    windows = counting()
    state = windows.new()
    windows.add(state, *rows(("a", 1)))

    early, due = windows.advance(state, 9), windows.advance(state, 10)

    assert early.records.num_rows == 0
    assert due.records.column("window_start_ns").to_pylist() == [0]
    assert len(state) == 0


def test_one_key_too_many_is_refused_until_another_has_no_window() -> None:
    windows = counting(keys_max=1, late="dead")
    state = windows.new()

    found = windows.add(state, *rows(("a", 1), ("b", 2), ("a", 3), ("b", 14), ("a", 14)))

    assert found.left_out.counts == {"key_refused": 2}
    assert [dead.row for dead in found.left_out.dead()] == [1, 4]


@pytest.mark.parametrize("time_ns", [-1, 2**62])
def test_a_time_out_of_range_moves_no_watermark(time_ns: int) -> None:
    windows = counting()

    found = windows.add(windows.new(), *rows(("a", 1), ("a", time_ns), ("a", 2)))

    assert found.left_out.counts == {"time_out_of_range": 1}
    assert found.records.num_rows == 0


def test_a_batch_without_records_says_nothing() -> None:
    nothing = Rows(pa.array([], pa.string()), np.zeros(0, np.int64))
    windows = counting()

    found = windows.add(windows.new(), nothing, pa.record_batch({"value": pa.array([0.0])[:0]}))

    assert found.records.num_rows == len(found.causes) == 0


def test_a_record_between_two_sessions_makes_them_one() -> None:
    aggregates = {name: OneValue("value", name, "float") for name in ("first", "last")}  # type: ignore[arg-type]
    windows = Windows(Session(6), {"count": Count(), **aggregates}, lateness_ns=20)
    state = windows.new()

    windows.add(state, *rows(("a", 10), ("a", 20), ("b", 15)))
    windows.add(state, *rows(("a", 15)))
    found = windows.advance(state, 100).records.to_pylist()

    spans = [(one["key"], one["window_start_ns"], one["window_end_ns"]) for one in found]
    assert spans == [("b", 15, 21), ("a", 10, 26)]
    assert (found[1]["count"], found[1]["first"], found[1]["last"]) == (3, 10.0, 20.0)


def test_nan_is_left_out_of_extremes_and_spoils_a_sum() -> None:
    aggregates = {"least": OneValue("value", "min", "float"), "sum": FloatSum("value")}
    windows = Windows(tumbling(10), aggregates, lateness_ns=0)
    records = pa.record_batch({"value": pa.array([math.nan, 3.0, math.nan, 2.0])})
    state = windows.new()

    windows.add(state, Rows(pa.array(["a"] * 4), np.arange(4)), records)
    (said,) = windows.advance(state, 10).records.to_pylist()

    assert said["least"] == 2.0
    assert math.isnan(said["sum"])


def test_a_sum_beyond_64_bits_is_held_at_the_limit() -> None:
    windows = Windows(tumbling(10), {"sum": IntSum("value")}, lateness_ns=0)
    records = pa.record_batch({"value": pa.array([2**62, 2**62, 2**62])})
    state = windows.new()

    windows.add(state, Rows(pa.array(["a"] * 3), np.arange(3)), records)

    assert windows.advance(state, 10).records.column("sum").to_pylist() == [2**63 - 1]


def test_a_price_without_volume_is_null() -> None:
    windows = Windows(tumbling(10), {"vwap": Vwap("price", "size")}, lateness_ns=0)
    records = pa.record_batch({"price": pa.array([5]), "size": pa.array([0])})
    state = windows.new()

    windows.add(state, Rows(pa.array(["a"]), np.array([1])), records)

    assert windows.advance(state, 10).records.column("vwap").to_pylist() == [None]


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ({"other": pa.array([1.0])}, "expected a column value, found other"),
        ({"value": pa.array([None], pa.float64())}, "expected no nulls, found 1"),
        ({"value": pa.array(["x"])}, "expected float64"),
    ],
)
def test_a_column_that_cannot_be_aggregated_is_refused(
    column: dict[str, pa.Array], says: str
) -> None:
    windows = Windows(tumbling(10), {"sum": FloatSum("value")}, lateness_ns=0)

    with pytest.raises(InvariantError, match=says):
        windows.add(windows.new(), Rows(pa.array(["a"]), np.array([1])), pa.record_batch(column))


def test_windows_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="hop of at most the size 5"):
        Hopping(5, 6)
    with pytest.raises(UsageError, match="at most 1024 windows"):
        Hopping(10**6, 1)
    with pytest.raises(UsageError, match="length_ns_max"):
        Session(10, 9)
    with pytest.raises(UsageError, match="4096 open windows a key, found 36"):
        Windows(tumbling(SECOND_NS // 10), {}, lateness_ns=3_600 * SECOND_NS)
    with pytest.raises(UsageError, match="keys_max"):
        counting(keys_max=0)
    with pytest.raises(UsageError, match="lateness_ns"):
        counting(lateness_ns=-1)


def sliding(**choices: object) -> SlidingWindows:
    record = pa.schema({"value": pa.float64()})
    aggregates = {"least": OneValue("value", "min", "float"), "sum": FloatSum("value")}
    return SlidingWindows(record, 10, aggregates, **{"lateness_ns": 0, **choices})  # type: ignore[arg-type]


def test_a_row_sees_the_span_that_ends_with_it_and_not_what_came_after() -> None:
    windows = sliding()
    state = windows.new()

    early = windows.add(state, *rows(("a", 0), ("a", 3), ("b", 3), ("a", 10)))
    due = windows.advance(state, 11)

    found = [*early.records.to_pylist(), *due.records.to_pylist()]
    assert [(row["key"], row["time_ns"], row["sum"]) for row in found] == [
        ("a", 0, 0.0),
        ("a", 3, 3.0),
        ("b", 3, 3.0),
        ("a", 10, 13.0),  # the row 10 ns before it is just not in its span
    ]
    assert early.causes.tolist() == [1, 3, 3]


def test_nan_is_in_no_extreme_of_a_sliding_window_but_its_own() -> None:
    windows = sliding()
    records = pa.record_batch({"value": pa.array([math.nan, 3.0, math.nan, 4.0])})
    state = windows.new()

    windows.add(state, Rows(pa.array(["a"] * 4), np.zeros(4, np.int64)), records)
    found = windows.advance(state, 1).records

    assert found.column("least").to_pylist()[1:] == [3.0, 3.0, 3.0]
    assert math.isnan(found.column("least")[0].as_py())
    assert all(math.isnan(total) for total in found.column("sum").to_pylist())


def test_a_late_row_is_in_no_sliding_window() -> None:
    windows = sliding(late="dead")

    found = windows.add(windows.new(), *rows(("a", 25), ("a", 24), ("a", 26)))

    assert found.left_out.counts == {"late": 1}
    assert [dead.row for dead in found.left_out.dead()] == [1]
    assert found.records.column("sum").to_pylist() == [25.0]


def test_sliding_windows_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="rows_a_window_max from 1"):
        sliding(rows_a_window_max=0)
    with pytest.raises(UsageError, match="rows_max from 2"):
        sliding(rows_max=1)
    with pytest.raises(UsageError, match="found sum twice"):
        SlidingWindows(pa.schema({"sum": pa.int64()}), 1, {"sum": IntSum("sum")}, lateness_ns=0)


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(InvariantError, match=r"lengths \[1, 2\]"):
        Rows(pa.array(["a"]), np.arange(2))


def test_state_written_with_other_aggregates_is_refused() -> None:
    one = operator_table("test.windows_by_key.v1", {"w": counting()})
    windows = counting()
    state = one.open()
    held: WindowState = state.edit("w")
    windows.add(held, *rows(("a", 1)))
    other = operator_table(
        "test.windows_by_key.v1",
        {"w": Windows(tumbling(10), {"n": Count(), "sum": IntSum("value")}, lateness_ns=0)},
    )

    with pytest.raises(InvariantError, match="raise the table's version"):
        other.open().restore({key: page for key, page in state.changes().items() if page})

    assert one.layout != other.layout
