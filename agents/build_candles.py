"""One-second candles of each stream, from its trades."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agents.market.candles import candle_records, within_limits
from headrace import Batch, DeadRow, Output
from headrace.batch import BoolArray, IntArray
from headrace.operators import (
    Count,
    OneValue,
    Rows,
    Vwap,
    Windows,
    WindowState,
    ohlcv,
    operator_table,
    tumbling,
)
from headrace.operators.rows import merged_counts
from headrace.state.tables import ObjectState
from schemas.streams import streams_of
from schemas.topics import CANDLE_SECOND

SECOND_NS = 1_000_000_000

LATENESS_NS = 2 * SECOND_NS
"""How far trades of a partition may lie behind one another: venues' clocks differ, and their frames
pass through tasks that are not all as far. A candle comes so much later."""

AHEAD_NS_MAX = 60 * SECOND_NS
"""How far a venue's clock may be ahead of ours: one trade with a time far ahead would make all that
follow late."""

SECONDS = Windows(
    tumbling(SECOND_NS),
    {
        **ohlcv("price_ticks", "size_lots"),
        "vwap_ticks": Vwap("price_ticks", "size_lots"),
        "trade_count": Count(),
        "first_sequence": OneValue("sequence", "first"),
        "last_sequence": OneValue("sequence", "last"),
    },
    lateness_ns=LATENESS_NS,
    late="drop",
)
TABLE = operator_table("build_candles.window_by_operator.v1", {"second": SECONDS})


def build_candles(batch: Batch, state: ObjectState[WindowState]) -> Output:
    """Return the candles of the seconds that the batch's trades have closed.

    A trade's time is its event time, or where the venue gives none when it was received. A second
    without trades has no candle. Late trades are dropped and counted: they are in the trade topic.
    Reads:   `market.trade.v1`.
    Counts:  `late`, `key_refused`, `time_out_of_range`, `trade_without_size`.
    """
    trades = batch.records
    times_ns = pc.coalesce(trades.column("event_time_ns"), trades.column("receive_time_ns"))
    times: IntArray = times_ns.to_numpy()
    dead, taken = _checked(trades, times)
    sizeless = taken & (trades.column("size_lots").to_numpy() == 0)
    rows = np.flatnonzero(taken & ~sizeless)
    kept = trades if len(rows) == trades.num_rows else trades.take(pa.array(rows))
    counts = {"trade_without_size": int(sizeless.sum())}
    if not len(rows):
        return Output(dead=dead, counts=counts)
    told = Rows(streams_of(kept), times[rows], kept.column("sequence").to_numpy())
    closed = SECONDS.add(state.edit("second"), told, kept)
    counts = merged_counts(counts, closed.left_out.counts)
    return Output(
        {CANDLE_SECOND.name: candle_records(closed.records)},
        [*dead, *closed.left_out.dead(part_rows=rows)],
        counts,
        {CANDLE_SECOND.name: rows[closed.causes]},
    )


def _checked(trades: pa.RecordBatch, times: IntArray) -> tuple[list[DeadRow], BoolArray]:
    """Return the trades that cannot be, and which of all can."""
    possible = within_limits(trades)
    ahead = times - trades.column("receive_time_ns").to_numpy() > AHEAD_NS_MAX
    dead = [
        DeadRow(0, row, "out_of_range", "expected price and size from 0 to below 2^62")
        for row in np.flatnonzero(~possible).tolist()
    ]
    dead += [
        DeadRow(0, row, "time_ahead", f"expected at most {AHEAD_NS_MAX} ns after its receipt")
        for row in np.flatnonzero(possible & ahead).tolist()
    ]
    return dead, possible & ~ahead
