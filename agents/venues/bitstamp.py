"""Bitstamp version 2: live trades, whole books, and changes ordered by microtimestamp alone.

Source:  ../shared/venues.md; bitstamp.net/websocket/v2
"""

from typing import Annotated

import msgspec
from msgspec import Raw

from agents.venues import outcome
from agents.venues.depth import Depth, DepthRule, Verdict
from agents.venues.outcome import FrameError
from agents.venues.reading import BUY, ID_MAX, SELL, UNKNOWN, Reading
from agents.venues.timestamps import ABSENT, epoch_ns

MARKET = "bitstamp:"
CHANGES, WHOLE, TRADES = "diff_order_book", "order_book", "live_trades"
IGNORED = frozenset({"live_orders", "detail_order_book"})

_ABSENT = Raw()
Id = Annotated[int, msgspec.Meta(ge=0, le=ID_MAX)]
AGGRESSORS = {0: BUY, 1: SELL}


class _Data(msgspec.Struct, gc=False):
    microtimestamp: str = ""
    bids: Raw = _ABSENT
    asks: Raw = _ABSENT
    id: Id | None = None
    price_str: str = ""
    amount_str: str = ""
    price: Raw = _ABSENT
    amount: Raw = _ABSENT
    type: int | None = None


class _Message(msgspec.Struct, gc=False):
    event: str = ""
    channel: str = ""
    data: Raw = _ABSENT
    microtimestamp: str = ""
    bids: Raw = _ABSENT
    asks: Raw = _ABSENT


_decode = msgspec.json.Decoder(_Message).decode
_decode_data = msgspec.json.Decoder(_Data).decode


def read_frame(payload: bytes, reading: Reading) -> str:
    """Read a frame of the connection, or a REST snapshot."""
    message = _decode(payload)
    if message.event.startswith("bts:"):
        return outcome.CONTROL
    if not message.event and message.bids and message.asks:
        data = _Data(message.microtimestamp, message.bids, message.asks)
        return _read_book(data, reading.only_slot(MARKET), snapshot=True, reading=reading)
    kind, _, pair = message.channel.rpartition("_")
    if kind in IGNORED or (kind == TRADES and message.event != "trade"):
        return outcome.IGNORED_TYPE
    if not message.event or not pair or kind not in (CHANGES, WHOLE, TRADES):
        raise FrameError(outcome.UNKNOWN_FRAME, "expected an `event` of a known `channel`")
    data = _decode_data(message.data)
    slot = reading.slot(MARKET + pair)
    if kind == TRADES:
        return _read_trade(data, slot, reading)
    return _read_book(data, slot, snapshot=kind == WHOLE, reading=reading)


def judge(last_id: int, fresh: bool, change: Depth) -> Verdict:
    """Return what a change is: what a snapshot holds already, or came too late, is stale."""
    stale = change.last_id <= last_id if fresh else change.last_id < last_id
    return Verdict.STALE if stale else Verdict.NEXT


RULE = DepthRule(judge, snapshot_apart=True)


def _read_book(data: _Data, slot: int, *, snapshot: bool, reading: Reading) -> str:
    micros = _micros(data.microtimestamp)
    depth = Depth(
        position=reading.position,
        slot=slot,
        rule=RULE,
        snapshot=snapshot,
        last_id=micros,
        event_time_ns=epoch_ns(micros),
    )
    reading.depth(depth, data.bids, data.asks)
    return outcome.SNAPSHOT if snapshot else outcome.DEPTH


def _read_trade(data: _Data, slot: int, reading: Reading) -> str:
    reading.trade(
        slot,
        data.price_str.encode() or data.price,
        data.amount_str.encode() or data.amount,
        UNKNOWN if data.type is None else AGGRESSORS.get(data.type, UNKNOWN),
        trade_id=ABSENT if data.id is None else data.id,
        event_time_ns=epoch_ns(_micros(data.microtimestamp)) if data.microtimestamp else ABSENT,
    )
    return outcome.TRADE


def _micros(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < len(str(ID_MAX))):
        raise FrameError(outcome.MALFORMED, f"microtimestamp {text[:40]!r}: expected digits")
    return int(text)
