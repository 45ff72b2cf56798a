"""OKX version 5: books chained by `prevSeqId` and, in older sessions, under a CRC32.

Source:  ../shared/venues.md; okx.com/docs-v5, "Order book channel"
"""

from typing import Annotated
from zlib import crc32

import msgspec
from msgspec import Raw

from agents.market.order_book import Side
from agents.venues import outcome
from agents.venues.decimals import FORM_PRICE
from agents.venues.depth import Depth, DepthRule, Verdict
from agents.venues.levels_text import NO_LEVELS, written
from agents.venues.outcome import FrameError
from agents.venues.reading import BUY, ID_MAX, SELL, UNKNOWN, Reading
from agents.venues.timestamps import ABSENT, epoch_ns

SPOT_PARTS = 2
FUTURES_PARTS = 3
CHECKSUM_LEVELS = 25
CHECKSUM_MASK = 0xFFFFFFFF
CHANGES = frozenset({"books", "books-l2-tbt", "books50-l2-tbt"})
WHOLE = frozenset({"books5"})
TRADES = frozenset({"trades", "trades-all"})
BEST = "bbo-tbt"

_ABSENT = Raw()
Id = Annotated[int, msgspec.Meta(ge=-1, le=ID_MAX)]


class _Arg(msgspec.Struct, gc=False):
    channel: str = ""
    inst_id: str = msgspec.field(default="", name="instId")


class _Message(msgspec.Struct, gc=False):
    arg: _Arg | None = None
    event: str = ""
    action: str = ""
    data: Raw = _ABSENT


class _Book(msgspec.Struct, gc=False):
    bids: Raw = _ABSENT
    asks: Raw = _ABSENT
    ts: str = ""
    checksum: int = 0
    seq_id: Id = msgspec.field(default=ABSENT, name="seqId")
    previous_id: Id = msgspec.field(default=ABSENT, name="prevSeqId")


class _Trade(msgspec.Struct, gc=False):
    px: Raw
    sz: Raw
    side: str = ""
    ts: str = ""
    trade_id: str = msgspec.field(default="", name="tradeId")


_decode = msgspec.json.Decoder(_Message).decode
_decode_books = msgspec.json.Decoder(list[_Book]).decode
_decode_trades = msgspec.json.Decoder(list[_Trade]).decode
_decode_levels = msgspec.json.Decoder(list[list[Raw]]).decode


def read_frame(payload: bytes, reading: Reading) -> str:
    """Read a frame of the public connection."""
    if payload in (b"pong", b"ping"):
        return outcome.CONTROL
    message = _decode(payload)
    if message.event:
        return outcome.CONTROL
    if message.arg is None or not message.arg.channel:
        raise FrameError(outcome.UNKNOWN_FRAME, "expected `arg` with a `channel`, or an `event`")
    if message.arg.channel not in CHANGES | WHOLE | TRADES | {BEST}:
        return outcome.IGNORED_TYPE
    return _read_data(message, message.arg.channel, message.arg.inst_id, reading)


def market_of(name: str) -> str:
    """Return the market of `BTC-USDT`, `BTC-USDT-SWAP` (linear) or `BTC-USD-220527` (inverse).

    Sizes of futures are contracts. Options are of no market that `schemas.instruments` knows.
    """
    parts = name.split("-")
    if len(parts) <= SPOT_PARTS:
        return "okx"
    if len(parts) > FUTURES_PARTS:
        return "okx-option"
    return "okx-inverse" if parts[1] == "USD" else "okx-linear"


def _read_data(message: _Message, channel: str, name: str, reading: Reading) -> str:
    if not name or not message.data:
        raise FrameError(outcome.MALFORMED, f"{channel}: expected `instId` and `data`")
    slot = reading.slot(f"{market_of(name)}:{name}")
    if channel in TRADES:
        return _read_trades(message, slot, channel, reading)
    if channel == BEST:
        return _read_best(message, slot, reading)
    if not reading.claim(slot, "book", channel):
        return outcome.IGNORED_TYPE
    return _read_books(message, slot, channel, reading)


def judge(last_id: int, fresh: bool, change: Depth) -> Verdict:  # noqa: ARG001 (a judge)
    """Return what a change is: it names the id it follows; sessions of old carry no ids."""
    if change.previous_id in (last_id, ABSENT):
        return Verdict.NEXT
    old = change.previous_id < last_id and change.last_id <= last_id
    return Verdict.STALE if old else Verdict.GAP


def checksum(bids: Side, asks: Side, price_scale: int, size_scale: int) -> int:
    """Return the CRC32 over `price:size` of bid and ask by turns, best first, as written."""
    texts: list[str] = []
    for rank in range(CHECKSUM_LEVELS):
        for prices, sizes, forms in (bids, asks):
            if rank < len(prices):
                texts.append(_text(prices[rank], price_scale, forms[rank] // FORM_PRICE))
                texts.append(_text(sizes[rank], size_scale, forms[rank] % FORM_PRICE))
    return crc32(":".join(texts).encode())


RULE = DepthRule(judge, checksum=checksum, checksum_levels=CHECKSUM_LEVELS)


def _text(value: int, scale: int, decimals: int) -> str:
    digits = str(written(value, scale, decimals)).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def _read_books(message: _Message, slot: int, channel: str, reading: Reading) -> str:
    snapshot = channel in WHOLE or message.action == "snapshot"
    books = _decode_books(message.data)
    for book in books:
        # 0 stands for no checksum since June 2026; a negative one is a signed 32-bit number.
        check = book.checksum & CHECKSUM_MASK if book.checksum and channel in CHANGES else ABSENT
        depth = Depth(
            position=reading.position,
            slot=slot,
            rule=RULE,
            snapshot=snapshot,
            last_id=book.seq_id,
            previous_id=book.previous_id,
            checksum=check,
            event_time_ns=_time_ns(book.ts),
        )
        reading.depth(depth, book.bids, book.asks)
    if not books:
        return outcome.CONTROL
    return outcome.SNAPSHOT if snapshot else outcome.DEPTH


def _read_best(message: _Message, slot: int, reading: Reading) -> str:
    found = outcome.CONTROL
    for book in _decode_books(message.data):
        bids = _decode_levels(book.bids or NO_LEVELS)
        asks = _decode_levels(book.asks or NO_LEVELS)
        try:
            (bid, bid_size, *_), (ask, ask_size, *_) = bids[0], asks[0]
        except (IndexError, ValueError) as error:
            detail = f"{BEST}: expected a bid and an ask with sizes"
            raise FrameError(outcome.MALFORMED, detail) from error
        time = _time_ns(book.ts)
        reading.quote(slot, (bid, bid_size, ask, ask_size), book.seq_id, time)
        found = outcome.QUOTE
    return found


def _read_trades(message: _Message, slot: int, channel: str, reading: Reading) -> str:
    if not reading.claim(slot, "trade", channel):
        return outcome.IGNORED_TYPE
    found = outcome.CONTROL
    for trade in _decode_trades(message.data):
        aggressor = {"buy": BUY, "sell": SELL}.get(trade.side, UNKNOWN)
        reading.trade(
            slot,
            trade.px,
            trade.sz,
            aggressor,
            trade_id=_count(trade.trade_id) if trade.trade_id else ABSENT,
            event_time_ns=_time_ns(trade.ts),
        )
        found = outcome.TRADE
    return found


def _time_ns(text: str) -> int:
    return epoch_ns(_count(text)) if text else ABSENT


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < len(str(ID_MAX))):
        raise FrameError(outcome.MALFORMED, f"id or time {text[:40]!r}: expected digits")
    return int(text)
