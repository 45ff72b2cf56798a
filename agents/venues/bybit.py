"""Bybit version 5: public trades, and books whose update id rises by one.

Source:  ../shared/venues.md; bybit-exchange.github.io/docs/v5/websocket/public
"""

from typing import Annotated

import msgspec
from msgspec import Raw

from agents.venues import outcome
from agents.venues.depth import Depth, DepthRule, Verdict
from agents.venues.levels_text import NO_LEVELS
from agents.venues.outcome import FrameError
from agents.venues.reading import BUY, ID_MAX, SELL, UNKNOWN, Reading
from agents.venues.timestamps import ABSENT, epoch_ns

CATEGORIES = ("linear", "inverse", "spot")
"""Markets whose frames look alike: the source's name tells, as the connection's address does."""

RESTARTED = 1
"""An update id of 1: the service began anew, the frame is a whole book whatever its type says."""

IGNORED = frozenset(
    {"tickers", "kline", "liquidation", "allLiquidation", "insurance", "priceLimit", "adlAlert"}
)
AGGRESSORS = {"Buy": BUY, "Sell": SELL}

_ABSENT = Raw()
Id = Annotated[int, msgspec.Meta(ge=0, le=ID_MAX)]


class _Book(msgspec.Struct, gc=False):
    s: str
    u: Id
    b: Raw = NO_LEVELS  # type: ignore[assignment]  # a side without changes may be left out
    a: Raw = NO_LEVELS  # type: ignore[assignment]


class _Trade(msgspec.Struct, gc=False):
    s: str
    p: Raw
    v: Raw
    S: str = ""
    T: Id | None = None
    i: str = ""


class _Message(msgspec.Struct, gc=False):
    topic: str = ""
    type: str = ""
    ts: Id | None = None
    cts: Id | None = None
    data: Raw = _ABSENT
    op: str = ""
    success: bool | None = None


_decode = msgspec.json.Decoder(_Message).decode
_decode_book = msgspec.json.Decoder(_Book).decode
_decode_trades = msgspec.json.Decoder(list[_Trade]).decode


def read_frame(payload: bytes, reading: Reading) -> str:
    """Read a frame of a public connection."""
    message = _decode(payload)
    if not message.topic and (message.op or message.success is not None):
        return outcome.CONTROL
    kind, _, rest = message.topic.partition(".")
    if kind == "orderbook":
        return _read_book(message, reading)
    if kind == "publicTrade":
        return _read_trades(message, reading)
    if kind in IGNORED and rest:
        return outcome.IGNORED_TYPE
    raise FrameError(outcome.UNKNOWN_FRAME, f"topic {message.topic[:40]!r} is not known")


def judge(last_id: int, fresh: bool, change: Depth) -> Verdict:  # noqa: ARG001 (a judge)
    """Return what a change is to a book at `last_id`."""
    if change.last_id <= last_id:
        return Verdict.STALE
    return Verdict.NEXT if change.last_id == last_id + 1 else Verdict.GAP


RULE = DepthRule(judge)


def _slot(symbol: str, reading: Reading) -> int:
    named = [category for category in CATEGORIES if category in reading.source.lower()]
    category = named[0] if named else "spot"
    return reading.slot(f"bybit-{category}:{symbol}")


def _read_book(message: _Message, reading: Reading) -> str:
    if not message.data:
        raise FrameError(outcome.MALFORMED, "orderbook: expected `data`")
    book = _decode_book(message.data)
    slot = _slot(book.s, reading)
    if not reading.claim(slot, "book", message.topic):
        return outcome.IGNORED_TYPE
    time = message.cts if message.cts is not None else message.ts
    snapshot = message.type == "snapshot" or book.u == RESTARTED
    depth = Depth(
        position=reading.position,
        slot=slot,
        rule=RULE,
        snapshot=snapshot,
        last_id=book.u,
        event_time_ns=ABSENT if time is None else epoch_ns(time),
    )
    reading.depth(depth, book.b, book.a)
    return outcome.SNAPSHOT if snapshot else outcome.DEPTH


def _read_trades(message: _Message, reading: Reading) -> str:
    found = outcome.CONTROL
    for trade in _decode_trades(message.data or NO_LEVELS):
        digits = trade.i.isascii() and trade.i.isdigit() and len(trade.i) < len(str(ID_MAX))
        reading.trade(
            _slot(trade.s, reading),
            trade.p,
            trade.v,
            AGGRESSORS.get(trade.S, UNKNOWN),
            # Futures name their trades by UUID: no number, so none is given.
            trade_id=int(trade.i) if digits else ABSENT,
            event_time_ns=ABSENT if trade.T is None else epoch_ns(trade.T),
        )
        found = outcome.TRADE
    return found
