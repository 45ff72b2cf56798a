"""What each symbol did in every window of event time, of each size, once it is closed."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from headrace import Batch, Output
from headrace.operators import Rows, Windows, WindowState
from headrace.operators.rows import merged_counts
from headrace.state.tables import ObjectState


def gather_windows(
    batch: Batch, state: ObjectState[WindowState], windows: Mapping[str, Windows], output: str
) -> Output:
    """Return the windows that the batch's trades have closed.

    Counts:  what `Windows` counts, over all sizes.
    """
    trades = batch.records
    # Every size looks the symbols up: encoded here, they are hashed once.
    symbols = trades.column("symbol").dictionary_encode()
    rows = Rows(symbols, trades.column("time_ns").to_numpy())
    closed = [one.add(state.edit(name), rows, trades) for name, one in windows.items()]
    return Output(
        {output: pa.concat_batches([window_records(each.records) for each in closed])},
        counts=merged_counts(*(each.left_out.counts for each in closed)),
        causes={output: np.concatenate([each.causes for each in closed])},
    )


def window_records(closed: pa.RecordBatch) -> pa.RecordBatch:
    """Return closed windows with the columns of the schema."""
    return pa.record_batch(
        {
            "symbol": closed.column("key"),
            "start_ns": closed.column("window_start_ns"),
            "end_ns": closed.column("window_end_ns"),
            "trades": closed.column("trades"),
            "volume_lots": closed.column("volume_lots"),
            "vwap_ticks": closed.column("vwap_ticks"),
        }
    )
