"""Every recorded file as trades and quotes in plain columns, and how they may come out of order."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from headrace.batch import IntArray
from tests.binance_records import read_binance
from tests.replay.frame_batches import frames_of, ingest, session_lines

VENUE_BY_CAPTURE = {
    "BINANCE.ws.1.0": "binance",
    "BITSTAMP.ws.1.0": "bitstamp",
    "COINBASE.ws.28.0": "coinbase",
    "KRAKEN.ws.50.0": "kraken",
    "OKX.ws.1.0": "okx",
}
EIGHTH = 8
PRICE_SCALE = 10**6
SEED = 20_240_808


@dataclass(frozen=True)
class Ticks:
    """Trades and quotes of one file.

    Both have key, time_ns, order (unique in the file), price and size, all but the key integers.
    """

    name: str
    trades: pd.DataFrame
    quotes: pd.DataFrame

    @property
    def sides(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what a join is given: trades and quotes; of quotes alone an eighth, the rest."""
        if len(self.trades):
            return self.trades, self.quotes
        is_left = np.arange(len(self.quotes)) % EIGHTH == 0
        return self.quotes[is_left], self.quotes[~is_left]


def every_file(folder: Path) -> list[Path]:
    """Return all recorded files."""
    return sorted(path for path in folder.glob("*/*") if path.suffix in {".gz", ".zst"})


def read_ticks(path: Path) -> Ticks:
    """Return the ticks of a file; a venue that sends no quotes, or no trades, has none."""
    if path.parent.name == "fx":
        found = pd.read_csv(path)
        quotes = pd.DataFrame(
            {
                "key": found["symbol"],
                "time_ns": found["ts_utc_us"] * 1_000,
                "order": np.arange(len(found)),
                "price": (found["bid"] * PRICE_SCALE).round().astype(np.int64),
                "size": 1,
            }
        )
        return Ticks(path.name, quotes.head(0), quotes)
    if path.parent.name == "binance":
        recording = read_binance(path)
        return Ticks(
            path.name,
            _plain(recording.trades.to_pandas(), "event_time_ns", "price_ticks", "size_lots"),
            _plain(
                recording.quotes.to_pandas(), "receive_time_ns", "bid_price_ticks", "bid_size_lots"
            ),
        )
    venue = VENUE_BY_CAPTURE[path.name.removesuffix(".gz")]
    records = ingest(frames_of(session_lines(path), venue=venue)).records
    trades, quotes = (
        records[topic].to_pandas() if topic in records else None
        for topic in ("market.trade.v1", "market.quote.v1")
    )
    return Ticks(
        path.name,
        _plain(trades, "event_time_ns", "price_ticks", "size_lots"),
        _plain(quotes, "receive_time_ns", "bid_price_ticks", "bid_size_lots"),
    )


def _plain(found: pd.DataFrame | None, time: str, price: str, size: str) -> pd.DataFrame:
    if found is None:
        found = pd.DataFrame({"instrument": pd.Series(dtype=str)})
        for name in (time, price, size):
            found[name] = np.zeros(0, np.int64)
    return pd.DataFrame(
        {
            "key": found["instrument"],
            "time_ns": found[time].astype(np.int64),
            # Sequences count by instrument; the file's own order is theirs, and of all.
            "order": np.arange(len(found)),
            "price": found[price].astype(np.int64),
            "size": found[size].astype(np.int64),
        }
    )


def arrival(times_ns: IntArray, lateness_ns: int) -> IntArray:
    """Return in which order rows arrive if each is delayed by less than the lateness."""
    delays = np.random.default_rng(SEED).integers(0, lateness_ns, len(times_ns))
    return np.argsort(times_ns + delays, kind="stable")


def cut(count: int, rows: int) -> Iterator[slice]:
    """Yield the batches of so many rows."""
    for first in range(0, count, rows):
        yield slice(first, min(first + rows, count))
