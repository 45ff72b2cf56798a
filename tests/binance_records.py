"""Recorded Binance frames as trade and quote batches, parsed here alone: a check on the product."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace import Batch, Part
from headrace.avro.schema import load_schema
from headrace.batch import BoolArray

SCHEMAS = Path(__file__).parents[1] / "schemas" / "avro"
TRADE_SCHEMA = load_schema(SCHEMAS, "trade.v1").arrow
QUOTE_SCHEMA = load_schema(SCHEMAS, "quote.v1").arrow
MARKETS = {"spot": "binance-spot", "usdm": "binance-usdm", "cm": "binance-coinm"}
E8 = 10**8


@dataclass(frozen=True)
class Recording:
    """Trades and quotes in their order of receipt; `is_trade[i]` says which the i-th record is."""

    trades: pa.RecordBatch
    quotes: pa.RecordBatch
    is_trade: BoolArray

    def batches(self, borders: Sequence[int]) -> Iterator[Batch]:
        """Yield the records cut at these places, which may repeat."""
        seen = np.concatenate([[0], np.cumsum(self.is_trade)])
        edges = [0, *borders, len(self.is_trade)]
        for start, end in pairwise(edges):
            is_trade = self.is_trade[start:end]
            first_trade, first_quote = int(seen[start]), int(start - seen[start])
            trades = int(is_trade.sum())
            rows = np.where(is_trade, np.cumsum(is_trade), np.cumsum(~is_trade)) - 1
            yield Batch(
                (
                    part_of("market.trade.v1", self.trades.slice(first_trade, trades)),
                    part_of(
                        "market.quote.v1", self.quotes.slice(first_quote, end - start - trades)
                    ),
                ),
                np.where(is_trade, 0, 1).astype(np.uint8),
                rows.astype(np.int64),
            )

    def every(self, size: int) -> Iterator[Batch]:
        """Yield the records in batches of this size."""
        return self.batches(range(size, len(self.is_trade), size))


def part_of(topic: str, records: pa.RecordBatch) -> Part:
    """Return records as the part of a batch, as if just read from partition 0."""
    count = records.num_rows
    return Part(
        topic,
        0,
        records,
        [b""] * count,
        [None] * count,
        np.arange(count),
        np.zeros(count, np.int64),
    )


def recording_of(records: Sequence[dict[str, Any]]) -> Recording:
    """Return dicts with the fields of a trade or a quote as a recording, in their order."""
    is_trade = np.array(["size_lots" in record for record in records], bool)
    trades = [_filled(record) for record in records if "size_lots" in record]
    quotes = [_filled(record) for record in records if "size_lots" not in record]
    return Recording(
        pa.RecordBatch.from_pylist(trades, schema=TRADE_SCHEMA),
        pa.RecordBatch.from_pylist(quotes, schema=QUOTE_SCHEMA),
        is_trade,
    )


def read_binance(path: Path) -> Recording:
    """Return the trades and best quotes of one recorded file; receive times never run backwards."""
    market = MARKETS[path.name.partition("_")[0]]
    records: list[dict[str, Any]] = []
    latest = 0
    with gzip.open(path, "rt") as lines:
        for source_sequence, line in enumerate(lines, start=1):
            received, _, text = line.partition(" ")
            latest = max(latest, int(received))
            if "@bookTicker" not in text and "@trade" not in text:
                continue
            data = json.loads(text)["data"]
            record: dict[str, Any] = {
                "instrument": f"{market}:{data['s']}",
                "receive_time_ns": latest,
                "event_time_ns": data["E"] * 10**6 if "E" in data else None,
                "source_sequence": source_sequence,
            }
            if "@trade" in text:
                if not int(Decimal(data["q"]) * E8):
                    continue
                record |= {
                    "trade_id": data["t"],
                    "price_ticks": int(Decimal(data["p"]) * E8),
                    "size_lots": int(Decimal(data["q"]) * E8),
                    "aggressor": "SELL" if data["m"] else "BUY",
                }
            else:
                record |= {
                    "update_id": data["u"],
                    "bid_price_ticks": int(Decimal(data["b"]) * E8),
                    "bid_size_lots": int(Decimal(data["B"]) * E8),
                    "ask_price_ticks": int(Decimal(data["a"]) * E8),
                    "ask_size_lots": int(Decimal(data["A"]) * E8),
                }
            record["sequence"] = len(records) + 1
            records.append(record)
    return recording_of(records)


def _filled(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "source": "test",
        "source_sequence": 0,
        "aggressor": "UNKNOWN",
        "book_valid": True,
    } | record
