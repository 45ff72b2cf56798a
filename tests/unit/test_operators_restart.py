"""Operators in a step write the same bytes however their input is cut, and after a crash."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headrace import Batch, Output, Step, Topic
from headrace.operators import (
    Count,
    FloatSum,
    HeldRows,
    IntervalJoin,
    Joined,
    OneValue,
    Quantile,
    Rows,
    Session,
    Sides,
    Sketch,
    SlidingWindows,
    StreamTableJoin,
    TableTableJoin,
    Windowed,
    Windows,
    operator_table,
    sides_of,
)
from headrace.operators.table import Operator
from headrace.state.tables import ObjectState
from headrace.testing import TestDriver
from tests.join_rows import Join
from tests.local_graphs import ASIDE, PROJECT, SCHEMA, WORD

RECORD = pa.schema({"state": pa.string(), "reason": pa.string()})
BOTH = Topic("test.both.v1", SCHEMA, key=("account",), partitions=1)
OUT = Topic("test.out.v1", SCHEMA, key=("account",), partitions=1)

PAIRS = IntervalJoin(
    RECORD, RECORD, lower_ns=-20, upper_ns=20, lateness_ns=10, unmatched="null", late="dead"
)
LOOKUP = StreamTableJoin(RECORD, RECORD)
TABLES = TableTableJoin(RECORD, RECORD, unmatched="drop")
SPANS = SlidingWindows(
    pa.schema({"reason": pa.string(), "tenth": pa.float64()}),
    span_ns=100,
    aggregates={
        "count": Count(),
        "sum": FloatSum("tenth"),
        "least": OneValue("tenth", "min", "float"),
    },
    lateness_ns=10,
    rows_a_window_max=5,
)


SKETCH = Sketch("event_time_ns", least=1, largest=10**6)
QUANTILES = Windows(
    Session(20),
    {"middle": Quantile(SKETCH, 0.5), "most": Quantile(SKETCH, 0.9)},
    lateness_ns=10,
)


def joining(join: Join) -> Callable[[Batch, ObjectState[Any]], Output]:
    """Return an agent of a topic that has both sides: what is HALTED is a right row."""

    def join_rows(batch: Batch, state: ObjectState[Any]) -> Output:
        records = batch.records
        is_right = pc.equal(records.column("state").cast(pa.string()), "HALTED")
        rows = Rows(records.column("account"), records.column("event_time_ns").to_numpy())
        sides = Sides(
            pc.invert(is_right).to_numpy(zero_copy_only=False),
            records.filter(pc.invert(is_right)),
            records.filter(is_right),
        )
        return said(join.add(state.edit("operator"), rows, sides))

    return join_rows


def said(joined: Joined) -> Output:
    """Return a record a row that came out: which reasons, at what time."""
    found = joined.records
    reasons = [pc.fill_null(found.column(name), "-") for name in ("reason", "right_reason")]
    records = pa.RecordBatch.from_pydict(
        {
            "account": found.column("key"),
            "state": pa.array(["ACTIVE"] * found.num_rows),
            "reason": pc.binary_join_element_wise(*reasons, " "),
            "event_time_ns": pc.coalesce(found.column("time_ns"), found.column("right_time_ns")),
        }
    )
    left_out = joined.left_out
    return Output({OUT.name: records}, left_out.dead(), left_out.counts, {OUT.name: joined.causes})


def windowing(windows: SlidingWindows | Windows) -> Callable[[Batch, ObjectState[Any]], Output]:
    """Return an agent that says of every row what its window holds."""

    def window_rows(batch: Batch, state: ObjectState[Any]) -> Output:
        records = batch.records
        times = records.column("event_time_ns")
        rows = Rows(records.column("account"), times.to_numpy())
        records = records.append_column("tenth", pc.divide(times.cast(pa.float64()), 10.0))
        return window_output(windows.add(state.edit("operator"), rows, records))

    return window_rows


def window_output(found: Windowed) -> Output:
    """Return a record a row that came out: all that it says, as a text."""
    names = [name for name in found.records.schema.names if name != "key"]
    told = [str(row) for row in found.records.select(names).to_pylist()]
    records = pa.RecordBatch.from_pydict(
        {
            "account": found.records.column("key"),
            "state": pa.array(["ACTIVE"] * len(told)),
            "reason": pa.array(told, pa.string()),
            "event_time_ns": pa.array(found.causes * 0),
        }
    )
    counts = found.left_out.counts
    return Output({OUT.name: records}, found.left_out.dead(), counts, {OUT.name: found.causes})


def step_of(operator: Operator, agent: Callable[..., Output], *reads: Topic) -> Step:
    name = "agent.row_by_operator.v1"
    table = operator_table(name, {"operator": operator})
    return Step("step", agent, reads=reads, writes=(OUT,), table=table)


STEPS = {
    "interval join": step_of(PAIRS, joining(PAIRS), BOTH),
    "stream with table": step_of(LOOKUP, joining(LOOKUP), BOTH),
    "table with table": step_of(TABLES, joining(TABLES), BOTH),
    "quantiles of sessions": step_of(QUANTILES, windowing(QUANTILES), BOTH),
    "sliding windows": step_of(SPANS, windowing(SPANS), BOTH),
}


def stream(count: int) -> list[dict[str, Any]]:
    """Return words of three accounts, some out of order, a few too late."""
    generator = np.random.default_rng(5)
    times = 1_000 + 7 * np.arange(count) - generator.integers(0, 14, count)
    return [
        {
            "account": f"a{generator.integers(3)}",
            "state": str(generator.choice(["ACTIVE", "REDUCING", "HALTED"])),
            "reason": str(number),
            "event_time_ns": int(time),
        }
        for number, time in enumerate(times)
    ]


def written(step: Step, rows: Sequence[dict[str, Any]], cuts: Sequence[int]) -> list[bytes]:
    """Return the values that a step writes for rows cut so; every other cut is a crash.

    What is piped after such a cut is not committed, lost, and read again.
    """
    driver = TestDriver(step, project=PROJECT)
    found: list[bytes] = []
    for number, (first, end) in enumerate(pairwise([0, *cuts, len(rows)])):
        crashes = number % 2 == 1
        driver.pipe(step.reads[0], rows[first:end], commit=not crashes)
        if crashes:
            driver.crash()
            driver.restore()
        for part in driver.read_parts(OUT):
            found += [bytes(value) for value in part.values if value is not None]
    return found


@pytest.mark.parametrize("name", STEPS)
def test_the_same_bytes_are_written_however_the_input_is_cut(name: str) -> None:
    rows = stream(300)

    whole = written(STEPS[name], rows, [])

    assert len(whole) > 100
    assert written(STEPS[name], rows, [1, 2, 90, 91, 92, 200]) == whole
    assert written(STEPS[name], rows, range(3, 300, 7)) == whole


def test_late_rows_of_a_join_become_dead_letters() -> None:
    driver = TestDriver(STEPS["interval join"], project=PROJECT)
    row = {"account": "a", "state": "ACTIVE", "reason": "x", "event_time_ns": 1_000}

    driver.pipe(BOTH, [row, row | {"event_time_ns": 989}, row | {"event_time_ns": 990}])

    assert driver.counts["step.late_left"] == 1
    assert driver.dead(BOTH).column("cause").to_pylist() == ["late"]


def test_two_topics_are_the_two_sides() -> None:
    def join_topics(batch: Batch, state: ObjectState[HeldRows]) -> Output:
        rows, sides = sides_of(batch, key="account", time="event_time_ns", order="event_time_ns")
        return said(PAIRS.add(state.edit("operator"), rows, sides))

    step = step_of(PAIRS, join_topics, WORD, ASIDE)
    driver = TestDriver(step, project=PROJECT)
    word = {"account": "a", "state": "ACTIVE", "reason": "left", "event_time_ns": 100}

    driver.pipe(WORD, [word, word | {"account": "b"}])
    driver.pipe(ASIDE, [word | {"reason": "right", "event_time_ns": 120}])

    assert driver.read(OUT).to_pylist() == [word | {"reason": "left right"}]
