"""The trades every peer stores: as rows of the table, as parts of the topic."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace import Part
from schemas.topics import TRADE

SEED = 5
START_NS = 1_722_988_800_000_000_000  # inside a week, so that one partition takes them all
INSTRUMENTS = 20
PARTITIONS = 4
BATCH_RECORDS = 32_768
"""As many as a sink's lane writes at once (SINK_RECORDS_MAX)."""

MISSING_SHARE = 0.01
"""Of the fields that may be null, and of the flag that is false as rarely."""

TRACE = ("kafka_partition", "kafka_offset", "time")


def draw(count: int) -> pa.Table:
    """Return so many trades as rows of the table, in the order they are written.

    A batch of BATCH_RECORDS is one transaction: a run of each partition.
    """
    random = np.random.default_rng(SEED)
    number = np.arange(count)
    place, batch = number % BATCH_RECORDS, number // BATCH_RECORDS
    run = BATCH_RECORDS // PARTITIONS
    receive_ns = START_NS + number * 150_000
    instruments = [f"binance-spot:COIN{i}USDT" for i in range(INSTRUMENTS)]
    sides = ["BUY", "SELL", "UNKNOWN"]
    event_ns = receive_ns - random.integers(0, 5_000_000, count)
    return pa.table(
        {
            "kafka_partition": pa.array(place // run, pa.int32()),
            "kafka_offset": batch * run + place % run,
            "time": pa.array(receive_ns // 1_000, pa.timestamp("us", "UTC")),
            "instrument": pa.array(instruments).take(random.integers(0, INSTRUMENTS, count)),
            "source": pa.repeat("recording/2024-08-07", count),
            "sequence": number + 1,
            "trade_id": pa.array(number + 3_000_000_000, mask=random.random(count) < MISSING_SHARE),
            "price_ticks": 6_000_000_000_000 + random.integers(-50, 51, count).cumsum() * 1_000_000,
            "size_lots": random.integers(1, 500_000_000, count),
            "aggressor": pa.array(sides).take(random.integers(0, len(sides), count)),
            "event_time_ns": pa.array(event_ns, mask=random.random(count) < MISSING_SHARE),
            "receive_time_ns": receive_ns,
            "source_sequence": number + 1,
            "book_valid": random.random(count) >= MISSING_SHARE,
        }
    )


def save(trades: pa.Table, path: Path) -> None:
    """Write the rows, a batch a transaction."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, trades.schema) as writer:
        writer.write_table(trades.combine_chunks(), max_chunksize=BATCH_RECORDS)


def load(path: Path) -> list[pa.RecordBatch]:
    """Return the batches of a file."""
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        return [reader.get_batch(index) for index in range(reader.num_record_batches)]


def parts(batch: pa.RecordBatch) -> list[Part]:
    """Return a batch as the sink's lane has it: a part a partition, decoded."""
    return list(_parts(batch))


def _parts(batch: pa.RecordBatch) -> Iterator[Part]:
    partitions = batch.column("kafka_partition").to_numpy()
    borders = np.flatnonzero(np.diff(partitions)) + 1
    for start, end in zip([0, *borders], [*borders, len(partitions)], strict=True):
        mine = batch.slice(int(start), int(end - start))
        count = mine.num_rows
        yield Part(
            topic=TRADE.name,
            partition=int(partitions[start]),
            records=mine.select([name for name in mine.schema.names if name not in TRACE]),
            values=[b""] * count,
            keys=[b""] * count,
            offsets=mine.column("kafka_offset").to_numpy(),
            timestamps_ms=mine.column("receive_time_ns").to_numpy() // 1_000_000,
        )
