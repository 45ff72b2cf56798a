"""Numbers the ticks of each symbol and sums up their sizes."""

import numpy as np
import pyarrow as pa

from headrace import Batch, Output, RowTable
from headrace.state.tables import RowState

SUM_BY_SYMBOL = RowTable(
    "tally_ticks.sum_by_symbol.v1", np.dtype([("sequence", np.int64), ("lots", np.int64)])
)


def tally_ticks(batch: Batch, state: RowState) -> Output:
    """Return number and sum after each tick."""
    symbols = batch.records.column("symbol").to_pylist()
    sizes = batch.records.column("size_lots").to_pylist()
    rows = []
    for symbol, index, size in zip(symbols, state.index_of(symbols), sizes, strict=True):
        entry = state.rows[index]
        entry["sequence"] += 1
        entry["lots"] += size
        rows.append({"symbol": symbol, "sequence": entry["sequence"], "lots": entry["lots"]})
    columns = {
        "symbol": pa.array(symbols, pa.string()),
        "sequence": pa.array([row["sequence"] for row in rows], pa.int64()),
        "lots": pa.array([row["lots"] for row in rows], pa.int64()),
    }
    causes = np.arange(len(rows))
    return Output({"sample.tally.v1": pa.record_batch(columns)}, causes={"sample.tally.v1": causes})
