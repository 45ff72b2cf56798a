"""What is published: quotes as the sink's lane has them, and the same messages ready made."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace import Part
from headrace.byte_column import ByteColumn
from headrace.sinks.contract import Rows
from headrace.sinks.json_rows import json_rows
from schemas.topics import QUOTE

TICK_RECORDS = 10
TICK_S = 0.001
"""Ten records a millisecond: 10,000 a second, in groups as small as a lane reads them."""

INSTRUMENTS = 10
START_NS = 1_722_988_800_000_000_000


def ticks(count: int) -> list[Part]:
    """Return so many parts of TICK_RECORDS quotes each; `sequence` counts them from 0."""
    total = count * TICK_RECORDS
    number = np.arange(total)
    names = pa.array([f"binance-spot:COIN{i}USDT" for i in range(INSTRUMENTS)])
    instruments = names.take(number % INSTRUMENTS)
    price = 6_000_000_000_000 + (number % 101) * 1_000_000
    records = pa.RecordBatch.from_pydict(
        {
            "instrument": instruments,
            "source": pa.repeat("recording/2024-08-07", total),
            "sequence": number,
            "update_id": number + 50_000_000_000,
            "bid_price_ticks": price,
            "bid_size_lots": number % 977 + 1,
            "ask_price_ticks": price + 1_000_000,
            "ask_size_lots": number % 983 + 1,
            "event_time_ns": pa.nulls(total, pa.int64()),
            "receive_time_ns": START_NS + number * 100_000,
            "source_sequence": number,
        }
    )
    keys = ByteColumn(instruments.cast(pa.binary()))
    starts = range(0, total, TICK_RECORDS)
    return [_part(records, keys, start) for start in starts]


def _part(records: pa.RecordBatch, keys: ByteColumn, start: int) -> Part:
    end = start + TICK_RECORDS
    mine = keys[start:end]
    stamps = np.full(TICK_RECORDS, START_NS // 1_000_000)
    return Part(QUOTE.name, 0, records.slice(start, TICK_RECORDS), mine, mine,
                np.arange(start, end), stamps)  # fmt: skip


def messages(part: Part) -> list[bytes]:
    """Return what the sink publishes of a part."""
    return json_rows(Rows(0, part, np.arange(len(part))))


def latencies_us(
    sent_ns: Sequence[int], sequences: npt.NDArray[np.int64], received_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return what each message took from its tick's start, in the order of `sequences`.

    Raises:  ValueError if one is missing or came twice.
    """
    total = len(sent_ns) * TICK_RECORDS
    if not np.array_equal(np.sort(sequences), np.arange(total)):
        raise ValueError(
            f"expected each of {total} messages once, found {len(sequences)}, "
            f"{len(np.unique(sequences))} of them different"
        )
    begun = np.asarray(sent_ns, np.int64)[sequences // TICK_RECORDS]
    return (received_ns - begun) / 1_000.0
