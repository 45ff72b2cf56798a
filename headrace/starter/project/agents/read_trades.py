"""From frames to trades; a frame that is none is dead."""

import json

import numpy as np
import pyarrow as pa

from headrace import Batch, DeadRow, Output

SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("price_ticks", pa.int64()),
        ("size_lots", pa.int64()),
        ("receive_time_ns", pa.int64()),
    ]
)


def read_trades(batch: Batch, output: str) -> Output:
    """Return the trade in each frame; each frame comes out as a trade or a dead letter."""
    payloads = batch.records.column("payload").to_pylist()
    times = batch.records.column("receive_time_ns").to_pylist()
    trades, good, dead = [], [], []
    for row, (payload, time_ns) in enumerate(zip(payloads, times, strict=True)):
        try:
            trades.append((*_trade(payload), time_ns))
            good.append(row)
        except (ValueError, KeyError, TypeError) as error:
            detail = f"expected JSON with symbol, price and size above 0, found {payload[:80]!r}"
            dead.append(DeadRow(0, row, "no_trade", f"{detail}: {type(error).__name__}: {error}"))
    columns = zip(*trades, strict=True) if trades else [[] for _ in SCHEMA]
    arrays = [pa.array(list(c), f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    records = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
    return Output({output: records}, dead, causes={output: np.array(good, np.int64)})


def _trade(payload: str) -> tuple[str, int, int]:
    frame = json.loads(payload)
    symbol, price, size = str(frame["symbol"]), int(frame["price"]), int(frame["size"])
    if price <= 0 or size <= 0:
        raise ValueError(f"price {price}, size {size}")
    return symbol, price, size
