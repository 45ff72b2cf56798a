"""Every so many ticks of a symbol, says how much was traded since the last time."""

import numpy as np
import pyarrow as pa

from headrace import Batch, Output, RowTable
from headrace.state.tables import RowState

TICKS_A_PEAK = 10
FACTOR = 1

LAST_BY_SYMBOL = RowTable("find_peaks.last_by_symbol.v1", np.dtype([("lots", np.int64)]))


def find_peaks(batch: Batch, state: RowState) -> Output:
    """Return the peaks among these tallies."""
    columns = [batch.records.column(name).to_pylist() for name in ("symbol", "sequence", "lots")]
    rows = []
    causes = []
    for row, (symbol, sequence, lots) in enumerate(zip(*columns, strict=True)):
        if sequence % TICKS_A_PEAK:
            continue
        (index,) = state.index_of([symbol])
        entry = state.rows[index]
        rows.append((symbol, sequence, lots - int(entry["lots"]), FACTOR * lots))
        entry["lots"] = lots
        causes.append(row)
    names = ("symbol", "sequence", "lots", "price_ticks")
    kinds = (pa.string(), pa.int64(), pa.int64(), pa.int64())
    arrays = [pa.array([r[n] for r in rows], kind) for n, kind in enumerate(kinds)]
    records = pa.record_batch(arrays, names=names)
    return Output({"sample.peak.v1": records}, causes={"sample.peak.v1": np.array(causes, int)})
