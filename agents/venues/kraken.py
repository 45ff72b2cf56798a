"""Kraken: version 1 (arrays) and version 2 (objects), books under a CRC32 over their best ten.

Source:  ../shared/venues.md; docs.kraken.com, "Book checksum" (v1 and v2)
"""

from typing import Annotated
from zlib import crc32

import msgspec
from msgspec import Raw

from agents.market.order_book import LEVELS_MAX, Side
from agents.venues import outcome
from agents.venues.decimals import FORM_PRICE
from agents.venues.depth import Depth, DepthRule, always_next
from agents.venues.levels_text import NO_LEVELS, levels_text, written
from agents.venues.outcome import FrameError
from agents.venues.reading import BUY, ID_MAX, SELL, UNKNOWN, Reading, Text
from agents.venues.timestamps import ABSENT, iso_ns, seconds_ns

MARKET = "kraken:"
CHECKSUM_LEVELS = 10
DEPTHS = (10, 25, 100, 500, 1_000)
"""Depths one can subscribe to; a book is cut to its own, the venue tells nothing beyond it."""

DEPTH_BY_TEXT = {str(depth): depth for depth in DEPTHS}
CHECKSUM_DIGITS_MAX = len(str(0xFFFFFFFF))

CONTROL_EVENTS = frozenset(
    {"heartbeat", "systemStatus", "subscriptionStatus", "pong", "ping", "error"}
)
CONTROL_CHANNELS = frozenset({"heartbeat", "status"})
IGNORED_CHANNELS = frozenset({"ticker", "ohlc", "instrument", "spread", "level3"})
FIELDS_V1_MIN = 4

_ABSENT = Raw()
Checksum = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
Id = Annotated[int, msgspec.Meta(ge=0, le=ID_MAX)]


class _Sides(msgspec.Struct, gc=False):
    """A part of a v1 book frame: `a`, `b` changed levels, `as`, `bs` whole sides, `c` checksum."""

    a: Raw = _ABSENT
    b: Raw = _ABSENT
    asks: Raw = msgspec.field(default=_ABSENT, name="as")
    bids: Raw = msgspec.field(default=_ABSENT, name="bs")
    c: str = ""


class _Level(msgspec.Struct, gc=False):
    price: Raw
    qty: Raw


class _Book(msgspec.Struct, gc=False):
    symbol: str
    bids: list[_Level] = []
    asks: list[_Level] = []
    checksum: Checksum | None = None
    timestamp: str = ""


class _Trade(msgspec.Struct, gc=False):
    symbol: str
    price: Raw
    qty: Raw
    side: str = ""
    trade_id: Id | None = None
    timestamp: str = ""


class _Message(msgspec.Struct, gc=False):
    event: str = ""
    method: str = ""
    channel: str = ""
    type: str = ""
    data: Raw = _ABSENT
    result: Raw = _ABSENT
    error: Raw = _ABSENT


class _Subscribed(msgspec.Struct, gc=False):
    channel: str = ""
    symbol: str = ""
    depth: int = 0


_decode_array = msgspec.json.Decoder(list[Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_sides = msgspec.json.Decoder(_Sides).decode
_decode_rows = msgspec.json.Decoder(list[list[str]]).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_books = msgspec.json.Decoder(list[_Book]).decode
_decode_trades = msgspec.json.Decoder(list[_Trade]).decode
_decode_subscribed = msgspec.json.Decoder(_Subscribed).decode


def read_frame(payload: bytes, reading: Reading) -> str:
    """Read a frame of either version."""
    if payload.lstrip()[:1] == b"[":
        return _read_array(_decode_array(payload), reading)
    message = _decode_message(payload)
    if message.channel == "book":
        return _read_books(message, reading)
    if message.channel == "trade":
        return _read_trades(message, reading)
    if message.method:
        return _read_answer(message, reading)
    if message.event in CONTROL_EVENTS or message.channel in CONTROL_CHANNELS or message.error:
        return outcome.CONTROL
    if message.channel in IGNORED_CHANNELS:
        return outcome.IGNORED_TYPE
    raise FrameError(outcome.UNKNOWN_FRAME, "expected a `channel`, a `method` or an `event`")


def checksum(bids: Side, asks: Side, price_scale: int, size_scale: int) -> int:
    """Return the CRC32 over the written digits of the best asks, then the best bids."""
    text = "".join(
        f"{written(price, price_scale, form // FORM_PRICE)}"
        f"{written(size, size_scale, form % FORM_PRICE)}"
        for side in (asks, bids)
        for price, size, form in zip(*side, strict=True)
    )
    return crc32(text.encode())


RULE = DepthRule(always_next, checksum=checksum, checksum_levels=CHECKSUM_LEVELS)


def _read_array(fields: list[Raw], reading: Reading) -> str:
    if len(fields) < FIELDS_V1_MIN:
        detail = f"expected [id, data…, channel, pair], found {len(fields)} fields"
        raise FrameError(outcome.UNKNOWN_FRAME, detail)
    channel, pair = _decode_text(fields[-2]), _decode_text(fields[-1])
    name = channel.partition("-")[0]
    if name in IGNORED_CHANNELS:
        return outcome.IGNORED_TYPE
    if name not in ("book", "trade"):
        raise FrameError(outcome.UNKNOWN_FRAME, f"channel {channel[:40]!r} is not known")
    slot = reading.slot(MARKET + pair)
    if name == "trade":
        return _read_rows(_decode_rows(fields[1]), slot, reading)
    if not reading.claim(slot, "book", channel):
        return outcome.IGNORED_TYPE
    levels_max = DEPTH_BY_TEXT.get(channel.partition("-")[2], LEVELS_MAX)
    return _read_sides([_decode_sides(part) for part in fields[1:-2]], slot, levels_max, reading)


def _read_sides(parts: list[_Sides], slot: int, levels_max: int, reading: Reading) -> str:
    snapshot = any(part.asks or part.bids for part in parts)
    bids: Text = NO_LEVELS
    asks: Text = NO_LEVELS
    check = ""
    for part in parts:
        bids = part.b or part.bids or bids
        asks = part.a or part.asks or asks
        check = part.c or check
    digits = check.isascii() and check.isdigit() and len(check) <= CHECKSUM_DIGITS_MAX
    if check and not digits:
        raise FrameError(outcome.MALFORMED, f"checksum {check[:20]!r}: expected digits")
    depth = Depth(
        position=reading.position,
        slot=slot,
        rule=RULE,
        snapshot=snapshot,
        checksum=int(check) if check else ABSENT,
        event_time_ns=ABSENT if snapshot else _latest((bids, asks)),
        levels_max=levels_max,
    )
    reading.depth(depth, bids, asks)
    return outcome.SNAPSHOT if snapshot else outcome.DEPTH


def _latest(sides: tuple[Text, Text]) -> int:
    """Return the latest time of the levels that changed: the frame itself has none."""
    rows = [row for side in sides for row in _decode_rows(side)]
    return max((seconds_ns(row[2]) for row in rows if len(row) > 2), default=ABSENT)  # noqa: PLR2004 (price, volume, time)


def _read_rows(rows: list[list[str]], slot: int, reading: Reading) -> str:
    for row in rows:
        try:
            price, size, time, side, *_ = row
        except ValueError as error:
            raise FrameError(
                outcome.MALFORMED, "trade: expected price, size, time, side"
            ) from error
        aggressor = {"b": BUY, "s": SELL}.get(side, UNKNOWN)
        time_ns = seconds_ns(time)
        reading.trade(slot, price.encode(), size.encode(), aggressor, event_time_ns=time_ns)
    return outcome.TRADE if rows else outcome.CONTROL


def _read_books(message: _Message, reading: Reading) -> str:
    snapshot = message.type == "snapshot"
    books = _decode_books(message.data or NO_LEVELS)
    for book in books:
        slot = reading.slot(MARKET + book.symbol)
        if snapshot and book.symbol not in reading.state.subscribed_depths:
            # The answer to the subscription was not seen: the least depth that holds this many.
            deepest = max(len(book.bids), len(book.asks))
            fitting = [depth for depth in DEPTHS if depth >= deepest]
            reading.state.subscribe(book.symbol, fitting[0] if fitting else LEVELS_MAX)
        depth = Depth(
            position=reading.position,
            slot=slot,
            rule=RULE,
            snapshot=snapshot,
            checksum=ABSENT if book.checksum is None else book.checksum,
            event_time_ns=iso_ns(book.timestamp) if book.timestamp else ABSENT,
            levels_max=reading.state.subscribed_depths.get(book.symbol, LEVELS_MAX),
        )
        bids = levels_text((level.price, level.qty) for level in book.bids)
        asks = levels_text((level.price, level.qty) for level in book.asks)
        reading.depth(depth, bids, asks)
    if not books:
        return outcome.CONTROL
    return outcome.SNAPSHOT if snapshot else outcome.DEPTH


def _read_trades(message: _Message, reading: Reading) -> str:
    found = outcome.CONTROL
    for trade in _decode_trades(message.data or NO_LEVELS):
        slot = reading.slot(MARKET + trade.symbol)
        trade_id = ABSENT if trade.trade_id is None else trade.trade_id
        repeated = trade_id != ABSENT and reading.is_repeated(slot, trade_id)
        if repeated and message.type == "snapshot":
            found = found if found == outcome.TRADE else outcome.TRADE_REPEATED
            continue
        aggressor = {"buy": BUY, "sell": SELL}.get(trade.side, UNKNOWN)
        reading.trade(
            slot,
            trade.price,
            trade.qty,
            aggressor,
            trade_id=trade_id,
            event_time_ns=iso_ns(trade.timestamp) if trade.timestamp else ABSENT,
        )
        found = outcome.TRADE
    return found


def _read_answer(message: _Message, reading: Reading) -> str:
    """Keep the depth that a book was subscribed to."""
    if message.method == "subscribe" and bytes(message.result).startswith(b"{"):
        answer = _decode_subscribed(message.result)
        if answer.channel == "book" and answer.depth in DEPTHS:
            reading.state.subscribe(answer.symbol, answer.depth)
    return outcome.CONTROL
