"""What ccxt.pro hands over as `plain` frames."""

import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

from feeds import limits
from feeds.plain import book_frame, json_text, quote_frame, trade_frame

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
    """Yield each new trade of lists of trades."""
    async for trades in updates:
        for trade in trades:
            trade_id = str(trade.get("id") or "")
            yield (
                trade["symbol"],
                partial(
                    trade_frame,
                    price=_decimal(trade["price"]),
                    size=_decimal(trade["amount"]),
                    side=trade.get("side"),
                    trade_id=int(trade_id) if trade_id.isdecimal() else None,
                    event_time_ns=_nanoseconds(trade.get("timestamp")),
                ),
            )


async def quotes_of(updates: AsyncIterator[Any]) -> Frames:
    """Yield the best quotes of tickers by symbol; one without all four figures is left out."""
    async for tickers in updates:
        for symbol, ticker in tickers.items():
            values = [ticker.get(key) for key in ("bid", "bidVolume", "ask", "askVolume")]
            if all(values):
                bid, bid_size, ask, ask_size = map(_decimal, values)
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
    """Yield the top of each book at most every `BOOK_INTERVAL_NS`; quotes when the best changes."""
    quoted: dict[str, Any] = {}
    due_ns: dict[str, int] = {}
    async for book in updates:
        symbol = book["symbol"]
        bids, asks = (_levels(book[side][: limits.BOOK_LEVELS]) for side in ("bids", "asks"))
        stamp = {
            "update_id": book.get("nonce"),
            "event_time_ns": _nanoseconds(book.get("timestamp")),
        }
        if is_quoting and bids and asks and quoted.get(symbol) != (bids[0], asks[0]):
            quoted[symbol] = (bids[0], asks[0])
            yield symbol, partial(quote_frame, bid=bids[0], ask=asks[0], **stamp)
        if time.monotonic_ns() >= due_ns.get(symbol, 0):
            due_ns[symbol] = time.monotonic_ns() + limits.BOOK_INTERVAL_NS
            yield symbol, partial(book_frame, bids=bids, asks=asks, **stamp)


def _levels(levels: list[Any]) -> list[tuple[str, str]]:
    return [(_decimal(level[0]), _decimal(level[1])) for level in levels]


def _decimal(value: float | str) -> str:
    """Return a number's shortest decimal text: what the venue wrote, up to 15 digits."""
    return format(Decimal(str(value)), "f")


def _nanoseconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds * 1_000_000
