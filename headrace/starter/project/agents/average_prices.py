"""The average price of each symbol, weighted by size."""

import numpy as np
import pyarrow as pa

from headrace import Batch, Output, RowTable
from headrace.state.tables import RowState

SUM_BY_SYMBOL = RowTable(
    "average_prices.sum_by_symbol.v1",
    np.dtype([("trades", np.int64), ("volume", np.int64), ("turnover", np.int64)]),
)


def average_prices(batch: Batch, state: RowState, output: str) -> Output:
    """Return the average after each trade.

    The sums are integers, so a batch cut in another way gives the same.
    """
    records = batch.records
    rows = state.rows_of(records.column("symbol"))
    prices = records.column("price_ticks").to_numpy()
    sizes = records.column("size_lots").to_numpy()
    trades = np.empty(len(rows), np.int64)
    averages = np.empty(len(rows))
    for symbol in np.unique(rows).tolist():
        mine = np.flatnonzero(rows == symbol)
        entry = state.rows[symbol]
        volume = entry["volume"] + np.cumsum(sizes[mine])
        turnover = entry["turnover"] + np.cumsum(prices[mine] * sizes[mine])
        trades[mine] = entry["trades"] + np.arange(1, len(mine) + 1)
        averages[mine] = turnover / volume
        entry["trades"], entry["volume"], entry["turnover"] = (
            trades[mine[-1]],
            volume[-1],
            turnover[-1],
        )
    found = pa.record_batch(
        {
            "symbol": records.column("symbol"),
            "trades": trades,
            "average_ticks": averages,
            "receive_time_ns": records.column("receive_time_ns"),
        }
    )
    return Output({output: found}, causes={output: np.arange(len(rows))})
