"""Coinbase: the Exchange feed (`type`) and Advanced Trade (`channel`), told apart by the frame.

Advanced Trade counts the frames of a connection; the Exchange's `level2` promises delivery and
numbers nothing.  Source:  ../shared/venues.md; docs.cdp.coinbase.com
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Raw

from agents.venues import outcome
from agents.venues.depth import Depth, DepthRule, always_next
from agents.venues.levels_text import levels_text
from agents.venues.outcome import FrameError
from agents.venues.reading import BUY, ID_MAX, SELL, UNKNOWN, Reading
from agents.venues.timestamps import ABSENT, iso_ns

MARKET = "coinbase:"
RULE = DepthRule(always_next)

CONTROL_TYPES = frozenset({"subscriptions", "heartbeat", "heartbeats", "status", "error"})
IGNORED_TYPES = frozenset(
    {"ticker", "ticker_batch", "candles", "auction", "rfq_match", "rfq_matches",
     "received", "open", "done", "change", "activate"}
)  # fmt: skip

# The venue names the maker's side; the taker's is the other one.
AGGRESSOR_BY_MAKER = {"sell": BUY, "SELL": BUY, "buy": SELL, "BUY": SELL}

_ABSENT = Raw()
Id = Annotated[int, msgspec.Meta(ge=0, le=ID_MAX)]


class _Update(msgspec.Struct, gc=False):
    side: str
    price_level: Raw
    new_quantity: Raw


class _Trade(msgspec.Struct, gc=False):
    trade_id: str
    product_id: str
    price: Raw
    size: Raw
    side: str
    time: str


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    product_id: str = ""
    updates: list[_Update] = []
    trades: list[_Trade] = []


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    channel: str = ""
    product_id: str = ""
    time: str = ""
    timestamp: str = ""
    asks: Raw = _ABSENT
    bids: Raw = _ABSENT
    changes: list[tuple[str, Raw, Raw]] | None = None
    trade_id: Id | None = None
    side: str = ""
    price: Raw = _ABSENT
    size: Raw = _ABSENT
    sequence_num: Id | None = None
    events: Raw = _ABSENT


_decode = msgspec.json.Decoder(_Message).decode
_decode_events = msgspec.json.Decoder(list[_Event]).decode


def read_frame(payload: bytes, reading: Reading) -> str:
    """Read a frame of either feed."""
    message = _decode(payload)
    kind = message.type
    if message.channel and not kind:
        return _read_channel(message, reading)
    if kind == "l2update":
        return _read_change(message, reading)
    if kind in ("match", "last_match"):
        return _read_match(message, reading)
    if kind == "snapshot":
        return _read_snapshot(message, reading)
    return _other(kind)


def _other(kind: str) -> str:
    if kind in CONTROL_TYPES:
        return outcome.CONTROL
    if kind in IGNORED_TYPES:
        return outcome.IGNORED_TYPE
    raise FrameError(outcome.UNKNOWN_FRAME, f"frame of type {kind[:40]!r} is not known")


def _slot(product: str, reading: Reading) -> int:
    if not product:
        raise FrameError(outcome.MALFORMED, "the frame names no `product_id`")
    return reading.slot(MARKET + product)


def _read_change(message: _Message, reading: Reading) -> str:
    if message.changes is None:
        raise FrameError(outcome.MALFORMED, "l2update: expected `changes`")
    slot = _slot(message.product_id, reading)
    bids, asks = _sides(message.changes)
    depth = Depth(
        position=reading.position,
        slot=slot,
        rule=RULE,
        event_time_ns=iso_ns(message.time) if message.time else ABSENT,
    )
    reading.depth(depth, bids, asks)
    return outcome.DEPTH


def _sides(changes: Sequence[tuple[str, Raw, Raw]]) -> tuple[bytes, bytes]:
    bids, asks = [], []
    for side, price, size in changes:
        if side in ("buy", "bid"):
            bids.append((price, size))
        elif side in ("sell", "offer"):
            asks.append((price, size))
        else:
            raise FrameError(outcome.MALFORMED, f"side {side[:20]!r}: expected a side of the book")
    return levels_text(bids), levels_text(asks)


def _read_snapshot(message: _Message, reading: Reading) -> str:
    depth = Depth(
        position=reading.position,
        slot=_slot(message.product_id, reading),
        rule=RULE,
        snapshot=True,
        event_time_ns=iso_ns(message.time) if message.time else ABSENT,
    )
    reading.depth(depth, message.bids, message.asks)
    return outcome.SNAPSHOT


def _read_match(message: _Message, reading: Reading) -> str:
    slot = _slot(message.product_id, reading)
    trade_id = ABSENT if message.trade_id is None else message.trade_id
    # `last_match` is the trade before the subscription: news on the first connection alone.
    repeated = trade_id != ABSENT and reading.is_repeated(slot, trade_id)
    if repeated and message.type == "last_match":
        return outcome.TRADE_REPEATED
    reading.trade(
        slot,
        message.price,
        message.size,
        AGGRESSOR_BY_MAKER.get(message.side, UNKNOWN),
        trade_id=trade_id,
        event_time_ns=iso_ns(message.time) if message.time else ABSENT,
    )
    return outcome.TRADE


def _read_channel(message: _Message, reading: Reading) -> str:
    if message.sequence_num is not None:
        reading.follow_connection(message.sequence_num)
    if message.channel == "l2_data":
        return _read_books(message, reading)
    if message.channel == "market_trades":
        return _read_trades(message, reading)
    return _other(message.channel)


def _read_books(message: _Message, reading: Reading) -> str:
    time = iso_ns(message.timestamp) if message.timestamp else ABSENT
    found = outcome.CONTROL
    for event in _decode_events(message.events or b"[]"):
        snapshot = event.type == "snapshot"
        changes = [(one.side, one.price_level, one.new_quantity) for one in event.updates]
        bids, asks = _sides(changes)
        depth = Depth(
            position=reading.position,
            slot=_slot(event.product_id, reading),
            rule=RULE,
            snapshot=snapshot,
            event_time_ns=time,
        )
        reading.depth(depth, bids, asks)
        found = outcome.SNAPSHOT if snapshot else outcome.DEPTH
    return found


def _read_trades(message: _Message, reading: Reading) -> str:
    found = outcome.CONTROL
    for event in _decode_events(message.events or b"[]"):
        # The newest trade stands first.
        for trade in reversed(event.trades):
            slot = _slot(trade.product_id, reading)
            trade_id = _number(trade.trade_id)
            repeated = trade_id != ABSENT and reading.is_repeated(slot, trade_id)
            if repeated and event.type == "snapshot":
                found = found if found == outcome.TRADE else outcome.TRADE_REPEATED
                continue
            aggressor = AGGRESSOR_BY_MAKER.get(trade.side, UNKNOWN)
            reading.trade(
                slot,
                trade.price,
                trade.size,
                aggressor,
                trade_id=trade_id,
                event_time_ns=iso_ns(trade.time),
            )
            found = outcome.TRADE
    return found


def _number(text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) < len(str(ID_MAX))
    return int(text) if digits else ABSENT
