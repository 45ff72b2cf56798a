"""Windows of trades as candle records."""

import pyarrow as pa
import pyarrow.compute as pc

from agents.market.window_layout import TICKS_LIMIT
from headrace.batch import BoolArray
from schemas.streams import SEPARATOR

FIELDS_OF_WINDOW = (
    *("open_ticks", "high_ticks", "low_ticks", "close_ticks", "vwap_ticks"),
    *("volume_lots", "trade_count", "first_sequence", "last_sequence"),
)
"""What the windows of candles say, by name as the record has it."""


def candle_records(windows: pa.RecordBatch) -> pa.RecordBatch:
    """Return windows whose keys are streams as records of candle.v1, in the same order."""
    names = pc.split_pattern(windows.column("key"), SEPARATOR, max_splits=1)
    return pa.RecordBatch.from_pydict(
        {
            "instrument": pc.list_element(names, 0),
            "source": pc.list_element(names, 1),
            "event_time_ns": windows.column("window_start_ns"),
            "end_time_ns": windows.column("window_end_ns"),
            **{name: windows.column(name) for name in FIELDS_OF_WINDOW},
        }
    )


def within_limits(trades: pa.RecordBatch) -> BoolArray:
    """Return which trades have a price and a size that candles can be made of."""
    prices, sizes = (trades.column(name).to_numpy() for name in ("price_ticks", "size_lots"))
    possible: BoolArray = (prices >= 0) & (prices < TICKS_LIMIT)
    possible &= (sizes >= 0) & (sizes < TICKS_LIMIT)
    return possible
