"""Windows and joins of recorded ticks that come shuffled equal an independent pandas computation.

One file in the ordinary tests; all of them in `make test-recorded`, which prints what was compared.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headrace.operators import (
    AsOfJoin,
    Count,
    Hopping,
    IntervalJoin,
    IntSum,
    OneValue,
    Rows,
    Session,
    Sides,
    SlidingWindows,
    Windows,
    operator_table,
    tumbling,
)
from tests.replay import pandas_operators
from tests.replay.recorded_ticks import Ticks, arrival, cut, every_file, read_ticks

SECOND_NS = 10**9
LATENESS_NS = 2 * SECOND_NS
BATCH_ROWS = 8_192
GAP_NS = 300_000_000
LOWER_NS, UPPER_NS = -20_000_000, 50_000_000
TOLERANCE_NS = 5 * SECOND_NS
AGGREGATES = {
    "first": OneValue("price", "first"),
    "largest": OneValue("price", "max"),
    "least": OneValue("price", "min"),
    "last": OneValue("price", "last"),
    "size": IntSum("size"),
    "count": Count(),
}
ORDER = pa.schema({"order": pa.int64()})
TICK = pa.schema({"order": pa.int64(), "price": pa.int64()})
SMALL = "binance/cm_btcusd_perp_20240808.gz"


def tumbling_windows(ticks: Ticks) -> tuple[int, int]:
    windows = Windows(tumbling(SECOND_NS), AGGREGATES, LATENESS_NS)
    return compared_windows(
        windows, ticks, lambda rows: pandas_operators.hopping(rows, SECOND_NS, SECOND_NS)
    )


def hopping_windows(ticks: Ticks) -> tuple[int, int]:
    windows = Windows(Hopping(5 * SECOND_NS, SECOND_NS), AGGREGATES, LATENESS_NS)
    return compared_windows(
        windows, ticks, lambda rows: pandas_operators.hopping(rows, 5 * SECOND_NS, SECOND_NS)
    )


def session_windows(ticks: Ticks) -> tuple[int, int]:
    kind = Session(GAP_NS)
    return compared_windows(
        Windows(kind, AGGREGATES, LATENESS_NS),
        ticks,
        lambda rows: pandas_operators.sessions(rows, GAP_NS, kind.length_ns_max),
    )


def sliding_windows(ticks: Ticks) -> tuple[int, int]:
    names = ("largest", "least", "count")
    windows = SlidingWindows(
        TICK, SECOND_NS, {name: AGGREGATES[name] for name in names}, LATENESS_NS
    )
    compared = 0
    for rows in (ticks.trades, ticks.quotes):
        found = windowed(windows, rows).sort_values("order").reset_index(drop=True)
        wanted = pandas_operators.sliding(rows, SECOND_NS)
        pd.testing.assert_frame_equal(found[wanted.columns], wanted)
        compared += len(wanted)
    return len(ticks.trades) + len(ticks.quotes), compared


def as_of_join(ticks: Ticks) -> tuple[int, int]:
    join = AsOfJoin(ORDER, ORDER, tolerance_ns=TOLERANCE_NS, lateness_ns=LATENESS_NS)
    left, right = ticks.sides
    return compared_pairs(join, ticks, pandas_operators.as_of(left, right, TOLERANCE_NS))


def interval_join(ticks: Ticks) -> tuple[int, int]:
    join = IntervalJoin(ORDER, ORDER, LOWER_NS, UPPER_NS, LATENESS_NS, unmatched="null")
    left, right = ticks.sides
    return compared_pairs(join, ticks, pandas_operators.interval(left, right, LOWER_NS, UPPER_NS))


COMPARED = (
    *(tumbling_windows, hopping_windows, session_windows, sliding_windows),
    *(as_of_join, interval_join),
)
"""Each raises where anything differs; returns how many rows went in, and how much was compared."""


@pytest.fixture(scope="module")
def small(shared_data: Path) -> Ticks:
    return read_ticks(shared_data / SMALL)


@pytest.mark.parametrize("compare", COMPARED)
def test_a_recorded_file_equals_pandas(
    compare: Callable[[Ticks], tuple[int, int]], small: Ticks
) -> None:
    rows, compared = compare(small)

    assert rows == len(small.trades) + len(small.quotes) > 20_000
    assert compared > 300


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_all_recorded_files_equal_pandas(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = every_file(shared_data)
    totals = {compare.__name__: np.zeros(2, np.int64) for compare in COMPARED}
    for path in paths:
        ticks = read_ticks(path)
        assert len(ticks.trades) + len(ticks.quotes), path
        for compare in COMPARED:
            totals[compare.__name__] += compare(ticks)

    assert len(paths) == 17
    assert all(rows > 2_000_000 and compared > 100_000 for rows, compared in totals.values())
    with capsys.disabled():
        sys.stdout.write("\n| operator | files | rows | compared | differences |\n")
        for name, (rows, compared) in totals.items():
            sys.stdout.write(f"| {name} | {len(paths)} | {rows:,} | {compared:,} | 0 |\n")


def compared_windows(
    windows: Windows, ticks: Ticks, reference: Callable[[pd.DataFrame], pd.DataFrame]
) -> tuple[int, int]:
    compared = 0
    for rows in (ticks.trades, ticks.quotes):
        wanted = reference(rows)
        found = windowed(windows, rows).sort_values(pandas_operators.PLACE).reset_index(drop=True)
        pd.testing.assert_frame_equal(found[wanted.columns], wanted)
        compared += len(wanted)
    return len(ticks.trades) + len(ticks.quotes), compared


def windowed(windows: Windows | SlidingWindows, ticks: pd.DataFrame) -> pd.DataFrame:
    """Return all that windows say of shuffled ticks; half way their state is written and read."""
    shuffled = ticks.iloc[arrival(ticks["time_ns"].to_numpy(), LATENESS_NS)]
    state, found = Halfway(windows, len(shuffled)), []
    for part in cut(len(shuffled), BATCH_ROWS):
        batch = shuffled.iloc[part]
        records = pa.RecordBatch.from_pandas(batch, preserve_index=False)
        said = windows.add(state.at(part.start), rows_of(batch), records)
        assert not said.left_out.counts
        found.append(said.records)
    found.append(windows.advance(state.at(len(shuffled)), 2**62 - 1).records)
    return pa.Table.from_batches(found).to_pandas()


def compared_pairs(
    join: AsOfJoin | IntervalJoin, ticks: Ticks, wanted: pd.DataFrame
) -> tuple[int, int]:
    """Compare the pairs a join makes of sides that come shuffled together."""
    left, right = ticks.sides
    both = pd.concat([left.assign(is_left=True), right.assign(is_left=False)])
    both = both.iloc[arrival(both["time_ns"].to_numpy(), LATENESS_NS)]
    state, found = Halfway(join, len(both)), []
    for part in cut(len(both), BATCH_ROWS):
        batch = both.iloc[part]
        is_left = batch["is_left"].to_numpy()
        orders = pa.RecordBatch.from_pandas(batch[["order"]], preserve_index=False)
        sides = Sides(is_left, *(orders.filter(pa.array(mine)) for mine in (is_left, ~is_left)))
        said = join.add(state.at(part.start), rows_of(batch), sides)
        assert not said.left_out.counts.keys() - {"unmatched"}
        found.append(said.records)
    found.append(join.advance(state.at(len(both)), 2**62 - 1).records)
    pairs = pa.Table.from_batches(found)
    rights = pairs.column("right_order").fill_null(-1).to_numpy()
    pd.testing.assert_frame_equal(
        pandas_operators.paired(pairs.column("order").to_numpy(), rights), wanted
    )
    return len(both), len(wanted)


def rows_of(batch: pd.DataFrame) -> Rows:
    return Rows(
        pa.array(batch["key"], pa.string()),
        batch["time_ns"].to_numpy(),
        batch["order"].to_numpy(),
    )


class Halfway:
    """The state of an operator, once written down and read again after half of the rows."""

    def __init__(self, operator: Any, rows: int) -> None:
        self._table = operator_table("test.rows_by_key.v1", {"operator": operator})
        self._state, self._half = self._table.open(), rows // 2

    def at(self, row: int) -> Any:
        """Return the state as it is before this row."""
        if row >= self._half >= 0:
            pages = self._state.changes()
            self._state, self._half = self._table.open(), -1
            self._state.restore({page: value for page, value in pages.items() if value})
        return self._state.edit("operator")
