"""What ccxt.pro hands over as `plain` frames."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, TypeAlias

from feeds import limits
from feeds.plain import book_frame, json_text, quote_frame, trade_frame

_ID_DIGITS_MAX = 18
_LEVEL_FIELDS_MIN = 2
_MILLISECONDS_MAX = 8 * 10**12
"""The year 2223, as for every time of a record."""

Stream: TypeAlias = AsyncIterator[tuple[str, str]]
"""Sources and payloads, as they come."""
Frames: TypeAlias = AsyncIterator[tuple[str, Callable[[str], str]]]
"""Symbols and frames that wait for the instrument's name."""


def source_name(venue: str, symbol: str) -> str:
    """Return the instrument's name, which is also the name of its source."""
    return f"live-{venue}:{symbol}"


async def named(stream: Frames, venue: str) -> Stream:
    """Turn frames waiting for their instrument's name into payloads with their source."""
    names: dict[str, str] = {}
    async for symbol, frame in stream:
        if symbol not in names:
            names[symbol] = json_text(source_name(venue, symbol))
        yield source_name(venue, symbol), frame(names[symbol])


async def trades_of(updates: AsyncIterator[Any]) -> Frames:
    """Yield each new trade of lists of trades; one without symbol, price or size is left out."""
    async for trades in updates:
        for trade in trades:
            symbol, price, size = (
                trade.get("symbol"), _decimal(trade.get("price")), _decimal(trade.get("amount"))
            )  # fmt: skip
            if _is_name(symbol) and price is not None and size is not None:
                side = trade.get("side")
                yield (
                    symbol,
                    partial(
                        trade_frame,
                        price=price,
                        size=size,
                        side=side if side in ("buy", "sell") else None,
                        trade_id=_id(trade.get("id")),
                        event_time_ns=_nanoseconds(trade.get("timestamp")),
                    ),
                )


async def quotes_of(updates: AsyncIterator[Any]) -> Frames:
    """Yield the best quotes of tickers by symbol; one without all four figures is left out."""
    async for tickers in updates:
        for symbol, ticker in tickers.items():
            keys = ("bid", "bidVolume", "ask", "askVolume")
            bid, bid_size, ask, ask_size = (_decimal(ticker.get(key) or None) for key in keys)
            if _is_name(symbol) and bid and bid_size and ask and ask_size:
                yield (
                    symbol,
                    partial(
                        quote_frame,
                        bid=(bid, bid_size),
                        ask=(ask, ask_size),
                        update_id=None,
                        event_time_ns=_nanoseconds(ticker.get("timestamp")),
                    ),
                )


async def books_of(updates: AsyncIterator[Any], *, is_quoting: bool) -> Frames:
    """Yield the top of each book at most every `BOOK_INTERVAL_NS`; quotes when the best changes.

    A book with a level that is none is left out: nobody knows what it should have said.
    """
    quoted: dict[str, Any] = {}
    due_ns: dict[str, int] = {}
    async for book in updates:
        symbol = book.get("symbol")
        bids, asks = (_levels(book.get(side)) for side in ("bids", "asks"))
        if not _is_name(symbol) or bids is None or asks is None:
            continue
        update_id, time_ns = _id(book.get("nonce")), _nanoseconds(book.get("timestamp"))
        if is_quoting and bids and asks and quoted.get(symbol) != (bids[0], asks[0]):
            quoted[symbol] = (bids[0], asks[0])
            yield (
                symbol,
                partial(
                    quote_frame,
                    bid=bids[0],
                    ask=asks[0],
                    update_id=update_id,
                    event_time_ns=time_ns,
                ),
            )
        if time.monotonic_ns() >= due_ns.get(symbol, 0):
            due_ns[symbol] = time.monotonic_ns() + limits.BOOK_INTERVAL_NS
            yield (
                symbol,
                partial(
                    book_frame, bids=bids, asks=asks, update_id=update_id, event_time_ns=time_ns
                ),
            )


def _is_name(symbol: object) -> bool:
    """Tell whether this can be a symbol: half a character cannot be written as JSON or UTF-8."""
    return isinstance(symbol, str) and symbol.isprintable()


def _levels(side: Any) -> list[tuple[str, str]] | None:
    """Return prices and sizes of the best levels, None if one of them is none."""
    found = []
    if not isinstance(side, Sequence):
        return None
    for level in side[: limits.BOOK_LEVELS]:
        if not isinstance(level, Sequence) or len(level) < _LEVEL_FIELDS_MIN:
            return None
        price, size = _decimal(level[0]), _decimal(level[1])
        if price is None or size is None:
            return None
        found.append((price, size))
    return found


def _decimal(value: object) -> str | None:
    """Return a number's shortest decimal text: what the venue wrote, up to 15 digits.

    None for what is no finite number, or one too long to be a price or a size.
    """
    text = str(value)
    if value is None or len(text) > limits.LIVE_NUMBER_CHARACTERS_MAX:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > limits.LIVE_NUMBER_CHARACTERS_MAX:
        return None
    return format(number, "f")


def _id(value: object) -> int | None:
    """Return a venue's number of a trade or an update; None for one that is no number."""
    text = str(value)
    is_number = text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX
    return int(text) if is_number else None


def _nanoseconds(milliseconds: object) -> int | None:
    is_time = isinstance(milliseconds, int) and 0 <= milliseconds < _MILLISECONDS_MAX
    return milliseconds * 1_000_000 if is_time else None  # type: ignore[operator]  # it is an int
