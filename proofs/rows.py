"""Records of a run as rows, in the order of the log of their partition."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

Row = Mapping[str, Any]
Tables = Mapping[str, pa.Table]

CONTENT = (
    "account",
    "strategy",
    "source",
    "instrument",
    "signal_sequence",
    "side",
    "quantity_lots",
    "limit_price_ticks",
    "bid_price_ticks",
    "ask_price_ticks",
    "quote_time_ns",
    "request_time_ns",
)
"""What an approval repeats of its request."""

SIGNAL = ("account", "strategy", "source", "instrument", "signal_sequence")
"""What names the signal behind an order."""


def rows_of(tables: Tables, topic: str) -> list[Row]:
    """Return the rows of a topic."""
    rows: list[Row] = tables[topic].to_pylist()
    return rows


def shared_values(names: tuple[str, ...], row: Row, other: Row) -> tuple[Any, Any]:
    """Return these fields of two rows, as far as both have them."""
    common = [name for name in names if name in row and name in other]
    return tuple(row[name] for name in common), tuple(other[name] for name in common)


def signal_of(row: Row) -> tuple[Any, ...]:
    """Return the signal behind a row."""
    return tuple(row[name] for name in SIGNAL if name in row)
