"""The running volume-weighted price of each symbol, a batch at a time."""

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace import Batch, Output, RowTable
from headrace.batch import FloatArray, IntArray
from headrace.state.tables import RowState

SUM_BY_SYMBOL = RowTable(
    "track_vwap.sum_by_symbol.v1",
    np.dtype([("turnover", np.int64), ("volume_lots", np.int64)]),
)


def track_vwap(batch: Batch, state: RowState, output: str) -> Output:
    """Return the price and the volume after each trade."""
    records = batch.records
    rows = state.rows_of(records.column("symbol"))
    vwaps = np.empty(len(rows))
    volumes = np.empty(len(rows), np.int64)
    prices = records.column("price_ticks").to_numpy()
    sizes = records.column("size_lots").to_numpy()
    add_up(rows, prices, sizes, state.rows, (vwaps, volumes))
    columns = {
        "symbol": records.column("symbol"),
        "time_ns": records.column("time_ns"),
        "vwap": vwaps,
        "volume_lots": volumes,
    }
    return Output({output: pa.record_batch(columns)})


@numba.njit(cache=True, nogil=True)
def add_up(
    rows: IntArray,
    prices: IntArray,
    sizes: IntArray,
    sums: npt.NDArray[np.void],
    after: tuple[FloatArray, IntArray],
) -> None:
    """Add each trade to its symbol's row of sums; note price and volume as they are then."""
    turnovers, volumes = sums["turnover"], sums["volume_lots"]
    for place in range(len(rows)):
        row = rows[place]
        turnovers[row] += prices[place] * sizes[place]
        volumes[row] += sizes[place]
        after[0][place] = turnovers[row] / volumes[row]
        after[1][place] = volumes[row]
