"""The trades above a size, with what they were worth."""

import pyarrow as pa
import pyarrow.compute as pc

from headrace import Batch, Output


def keep_large(batch: Batch, size_lots_min: int, output: str) -> Output:
    """Return what each trade of more than so many lots was worth."""
    trades = batch.records
    kept = trades.filter(pc.greater(trades.column("size_lots"), size_lots_min))
    columns = {
        "symbol": kept.column("symbol"),
        "time_ns": kept.column("time_ns"),
        "notional": pc.multiply(kept.column("price_ticks"), kept.column("size_lots")),
    }
    return Output(
        {output: pa.record_batch(columns)},
        counts={"trade_small": trades.num_rows - kept.num_rows},
    )
