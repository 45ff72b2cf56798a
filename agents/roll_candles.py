"""Candles of minutes and hours, from the closed candles of seconds."""

from collections.abc import Mapping

from agents.market.candles import candle_records
from headrace import Batch, Output
from headrace.operators import (
    Aggregate,
    IntSum,
    OneValue,
    Rows,
    Vwap,
    Windows,
    WindowState,
    operator_table,
    tumbling,
)
from headrace.operators.rows import merged_counts
from headrace.state.tables import ObjectState
from schemas.streams import streams_of
from schemas.topics import CANDLE_HOUR, CANDLE_MINUTE

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS

ROLLED: Mapping[str, Aggregate] = {
    "open_ticks": OneValue("open_ticks", "first"),
    "high_ticks": OneValue("high_ticks", "max"),
    "low_ticks": OneValue("low_ticks", "min"),
    "close_ticks": OneValue("close_ticks", "last"),
    "vwap_ticks": Vwap("vwap_ticks", "volume_lots"),
    "volume_lots": IntSum("volume_lots"),
    "trade_count": IntSum("trade_count"),
    "first_sequence": OneValue("first_sequence", "first"),
    "last_sequence": OneValue("last_sequence", "last"),
}

# Seconds close in order of time, so there is no lateness to wait for here.
WINDOWS = {
    CANDLE_MINUTE.name: Windows(tumbling(MINUTE_NS), ROLLED, lateness_ns=0, late="drop"),
    CANDLE_HOUR.name: Windows(tumbling(HOUR_NS), ROLLED, lateness_ns=0, late="drop"),
}
TABLE = operator_table("roll_candles.window_by_operator.v1", WINDOWS)


def roll_candles(batch: Batch, state: ObjectState[WindowState]) -> Output:
    """Return the minutes and hours that the batch's seconds have closed.

    Made of seconds, not of trades: lateness is decided once, so that a minute is the sum of its
    seconds whatever came late, and there are fewer of them by orders of magnitude. The price is
    that a minute closes with the first second after it that closes, of any stream.
    Reads:   `candle.second.v1`.
    Counts:  `late`, `key_refused`, `time_out_of_range`, over both intervals.
    """
    seconds = batch.records
    rows = Rows(
        streams_of(seconds),
        seconds.column("event_time_ns").to_numpy(),
        seconds.column("first_sequence").to_numpy(),
    )
    closed = {topic: one.add(state.edit(topic), rows, seconds) for topic, one in WINDOWS.items()}
    return Output(
        {topic: candle_records(windows.records) for topic, windows in closed.items()},
        (),
        merged_counts(*(windows.left_out.counts for windows in closed.values())),
        {topic: windows.causes for topic, windows in closed.items()},
    )
