"""The rows of a batch's sources as records of the market topics."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from agents.market.order_book import (
    ASK_LEVELS,
    ASK_PRICES,
    ASK_SIZES,
    ASKS_LISTED,
    BID_LEVELS,
    BID_PRICES,
    BID_SIZES,
    BIDS_LISTED,
    TOP_LEVELS,
)
from agents.venues.numbering import Columns
from agents.venues.reading import AGGRESSORS
from agents.venues.settlement import SourceRows
from agents.venues.source_state import SourceState
from agents.venues.timestamps import ABSENT
from agents.venues.tracked_book import Integrity
from headrace.batch import IntArray
from schemas.instruments import Instrument
from schemas.topics import BOOK, INSTRUMENT, QUOTE, TRADE

INTEGRITIES = tuple(integrity.name for integrity in Integrity)


@dataclass(slots=True)
class MarketRecords:
    """Records by topic, and the batch rows that caused them."""

    records: dict[str, pa.RecordBatch] = field(default_factory=dict)
    causes: dict[str, IntArray] = field(default_factory=dict)

    def add(self, topic: str, causes: IntArray, columns: dict[str, pa.Array]) -> None:
        """Add a topic's records."""
        self.records[topic] = pa.RecordBatch.from_pydict(columns)
        self.causes[topic] = causes


def venue_of(instrument: Instrument) -> str:
    """Return who trades it: `binance` of `binance-usdm`, `kraken` of `live-kraken`."""
    return instrument.market.removeprefix("live-").partition("-")[0]


Source = tuple[str, SourceState, SourceRows]
"""A source's name, its state, and the rows of this batch."""


def market_records(
    sources: Sequence[Source], new: Sequence[tuple[int, Instrument]]
) -> MarketRecords:
    """Return the records of all sources, in the order of the frames they come from.

    `new` are the instruments seen for the first time, with the batch row that named each.
    """
    found = MarketRecords()
    names = _Names(sources)
    if new:
        _add_instruments(found, new)
    if any(len(rows.trades["row"]) for _, _, rows in sources):
        trades, _ = _merged([rows.trades for _, _, rows in sources], names.first_slots)
        found.add(TRADE.name, trades["row"], _trade_columns(trades, names))
    if any(len(rows.quotes["row"]) for _, _, rows in sources):
        quotes, _ = _merged([rows.quotes for _, _, rows in sources], names.first_slots)
        found.add(QUOTE.name, quotes["row"], _quote_columns(quotes, names))
    if any(len(rows.books["row"]) for _, _, rows in sources):
        books, order = _merged([rows.books for _, _, rows in sources], names.first_slots)
        tops = np.concatenate([rows.tops for _, _, rows in sources])[order]
        found.add(BOOK.name, books["row"], _book_columns(books, tops, names))
    return found


class _Names:
    """Instrument and source by slot, slots counted over all sources of the batch."""

    def __init__(self, sources: Sequence[Source]) -> None:
        counts = [len(state.names) for _, state, _ in sources]
        self.first_slots: IntArray = np.cumsum([0, *counts[:-1]])
        self._instruments = pa.array(
            [name for _, state, _ in sources for name in state.names], pa.string()
        )
        self._sources = pa.array([source for source, _, _ in sources], pa.string())
        self._source_by_slot: IntArray = np.repeat(np.arange(len(sources)), counts)

    def columns(self, slots: IntArray) -> dict[str, pa.Array]:
        """Return the two columns that every record begins with."""
        return {
            "instrument": self._instruments.take(pa.array(slots)),
            "source": self._sources.take(pa.array(self._source_by_slot[slots])),
        }


def _trade_columns(trades: Columns, names: _Names) -> dict[str, pa.Array]:
    return {
        **names.columns(trades["slot"]),
        "sequence": pa.array(trades["sequence"]),
        "trade_id": _nullable(trades["id"]),
        "price_ticks": pa.array(trades["price_ticks"]),
        "size_lots": pa.array(trades["size_lots"]),
        "aggressor": _named(AGGRESSORS, trades["aggressor"]),
        **_times(trades),
        "book_valid": pa.array(trades["book_valid"].astype(np.bool_)),
    }


def _quote_columns(quotes: Columns, names: _Names) -> dict[str, pa.Array]:
    return {
        **names.columns(quotes["slot"]),
        "sequence": pa.array(quotes["sequence"]),
        "update_id": _nullable(quotes["id"]),
        "bid_price_ticks": pa.array(quotes["bid_price_ticks"]),
        "bid_size_lots": pa.array(quotes["bid_size_lots"]),
        "ask_price_ticks": pa.array(quotes["ask_price_ticks"]),
        "ask_size_lots": pa.array(quotes["ask_size_lots"]),
        **_times(quotes),
    }


def _book_columns(books: Columns, tops: IntArray, names: _Names) -> dict[str, pa.Array]:
    return {
        **names.columns(books["slot"]),
        "update_id": _nullable(books["id"]),
        "integrity": _named(INTEGRITIES, books["integrity"]),
        "bid_price_ticks": _lists(tops, BIDS_LISTED, BID_PRICES),
        "bid_size_lots": _lists(tops, BIDS_LISTED, BID_SIZES),
        "ask_price_ticks": _lists(tops, ASKS_LISTED, ASK_PRICES),
        "ask_size_lots": _lists(tops, ASKS_LISTED, ASK_SIZES),
        "bid_levels": pa.array(tops[:, BID_LEVELS].astype(np.int32)),
        "ask_levels": pa.array(tops[:, ASK_LEVELS].astype(np.int32)),
        **_times(books),
    }


def _add_instruments(found: MarketRecords, new: Sequence[tuple[int, Instrument]]) -> None:
    ordered = sorted(new, key=lambda item: item[0])
    instruments = [instrument for _, instrument in ordered]
    worths = [one.contract_value_e8 for one in instruments]
    found.add(
        INSTRUMENT.name,
        np.array([row for row, _ in ordered], np.int64),
        {
            "instrument": pa.array([one.name for one in instruments], pa.string()),
            "venue": pa.array([venue_of(one) for one in instruments], pa.string()),
            "symbol": pa.array([one.symbol for one in instruments], pa.string()),
            "price_scale": pa.array([one.price_scale for one in instruments], pa.int32()),
            "size_scale": pa.array([one.size_scale for one in instruments], pa.int32()),
            "kind": pa.array([one.kind for one in instruments], pa.string()),
            "contract_value_e8": pa.array(worths, pa.int64()),
        },
    )


def _merged(parts: Sequence[Columns], first_slots: IntArray) -> tuple[Columns, IntArray]:
    """Return the rows in the order of the batch, slots counted over all sources, and the order."""
    merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    merged["slot"] = merged["slot"] + np.repeat(first_slots, [len(part["row"]) for part in parts])
    order = np.argsort(merged["row"], kind="stable")
    if len(parts) > 1:
        merged = {name: column[order] for name, column in merged.items()}
    return merged, order


def _times(columns: Columns) -> dict[str, pa.Array]:
    return {
        "event_time_ns": _nullable(columns["event_time_ns"]),
        "receive_time_ns": pa.array(columns["receive_time_ns"]),
        "source_sequence": pa.array(columns["source_sequence"]),
    }


def _nullable(values: IntArray) -> pa.Array:
    return pa.array(values, mask=values == ABSENT)


def _named(names: Sequence[str], codes: IntArray) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes))


def _lists(tops: IntArray, listed: int, first: int) -> pa.Array:
    lengths = tops[:, listed]
    offsets = np.zeros(len(tops) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    there = np.arange(TOP_LEVELS) < lengths[:, None]
    values = tops[:, first : first + TOP_LEVELS][there]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
