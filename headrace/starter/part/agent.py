"""What starter does: say it in a line."""

import numpy as np
import pyarrow as pa

from headrace import Batch, Output, RowTable
from headrace.state.tables import RowState

STARTER_BY_KEY = RowTable("starter.row_by_key.v1", np.dtype([("count", np.int64)]))


def starter(batch: Batch, state: RowState, key: str, output: str) -> Output:
    """Return how many records of each key there were, after each record.

    `key` is a field of the records read; `output` the topic written.
    """
    rows = state.rows_of(batch.records.column(key))
    counts = np.empty(len(rows), np.int64)
    for row in np.unique(rows).tolist():
        mine = np.flatnonzero(rows == row)
        counts[mine] = state.rows[row]["count"] + np.arange(1, len(mine) + 1)
        state.rows[row]["count"] += len(mine)
    records = pa.record_batch({"key": batch.records.column(key), "count": counts})
    return Output({output: records}, causes={output: np.arange(len(rows))})
