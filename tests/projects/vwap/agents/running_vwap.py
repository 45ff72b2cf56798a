"""The running volume-weighted price of each symbol."""

import numpy as np
import pyarrow as pa

from headrace import Batch, DeadRow, Output, RowTable
from headrace.state.tables import RowState

VWAP_BY_SYMBOL = RowTable(
    "running_vwap.sum_by_symbol.v1",
    np.dtype([("trades", np.int64), ("volume", np.float64), ("turnover", np.float64)]),
)


def running_vwap(batch: Batch, state: RowState) -> Output:
    """Return the vwap after each tick; a tick without a size is dead."""
    symbols = batch.records.column("symbol").to_pylist()
    prices = batch.records.column("price_ticks").to_numpy()
    sizes = batch.records.column("size_lots").to_numpy()
    good = np.flatnonzero(sizes > 0)
    rows = state.index_of([symbols[row] for row in good.tolist()])
    trades = np.empty(len(good), np.int64)
    vwaps = np.empty(len(good))
    for place, (row, index) in enumerate(zip(good.tolist(), rows.tolist(), strict=True)):
        entry = state.rows[index]
        entry["trades"] += 1
        entry["volume"] += sizes[row]
        entry["turnover"] += prices[row] * sizes[row]
        trades[place] = entry["trades"]
        vwaps[place] = entry["turnover"] / entry["volume"]
    records = pa.record_batch(
        {"symbol": [symbols[row] for row in good.tolist()], "trades": trades, "vwap": vwaps}
    )
    dead = [
        DeadRow(0, row, "no_size", f"expected a size above 0, found {sizes[row]}")
        for row in np.flatnonzero(sizes <= 0).tolist()
    ]
    return Output({"sample.vwap.v1": records}, dead, causes={"sample.vwap.v1": good})
