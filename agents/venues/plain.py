"""Our own dialect: what the table, live and sim feeds write.

| type | fields beside `type` and `instrument` |
|---|---|
| `trade` | `price`, `size`, `side` (buy, sell or null), `trade_id`, `event_time_ns` |
| `quote` | `bid`, `bid_size`, `ask`, `ask_size`, `update_id`, `event_time_ns` |
| `book` | `bids`, `asks` (whole sides, `[[price, size], …]`), `update_id`, `event_time_ns` |

Prices and sizes are decimal text (JSON strings or numbers); ids and times may be null or left out.
"""

from typing import Annotated

import msgspec
from msgspec import Raw

from agents.venues import outcome
from agents.venues.depth import Depth, DepthRule, always_next
from agents.venues.outcome import FrameError
from agents.venues.reading import BUY, ID_MAX, SELL, UNKNOWN, Reading
from agents.venues.timestamps import ABSENT, TIME_NS_MAX

RULE = DepthRule(always_next, gives_quotes=False)
AGGRESSORS = {"buy": BUY, "sell": SELL, None: UNKNOWN}

_ABSENT = Raw()
Id = Annotated[int, msgspec.Meta(ge=0, le=ID_MAX)]
Time = Annotated[int, msgspec.Meta(ge=0, le=TIME_NS_MAX)]


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    instrument: str = ""
    price: Raw = _ABSENT
    size: Raw = _ABSENT
    side: str | None = None
    trade_id: Id | None = None
    update_id: Id | None = None
    event_time_ns: Time | None = None
    bid: Raw = _ABSENT
    bid_size: Raw = _ABSENT
    ask: Raw = _ABSENT
    ask_size: Raw = _ABSENT
    bids: Raw = _ABSENT
    asks: Raw = _ABSENT


_decode = msgspec.json.Decoder(_Message).decode


def read_frame(payload: bytes, reading: Reading) -> str:
    """Read a trade, a best quote or a whole book."""
    message = _decode(payload)
    kind = message.type
    if kind not in ("trade", "quote", "book"):
        raise FrameError(
            outcome.UNKNOWN_FRAME, f"type {kind[:40]!r}: expected trade, quote or book"
        )
    slot = reading.slot(message.instrument)
    time = ABSENT if message.event_time_ns is None else message.event_time_ns
    update_id = ABSENT if message.update_id is None else message.update_id
    if kind == "quote":
        texts = (message.bid, message.bid_size, message.ask, message.ask_size)
        reading.quote(slot, texts, update_id, time)
        return outcome.QUOTE
    if kind == "trade":
        if message.side not in AGGRESSORS:
            raise FrameError(outcome.MALFORMED, "side: expected buy, sell or null")
        trade_id = ABSENT if message.trade_id is None else message.trade_id
        reading.trade(
            slot,
            message.price,
            message.size,
            AGGRESSORS[message.side],
            trade_id=trade_id,
            event_time_ns=time,
        )
        return outcome.TRADE
    depth = Depth(
        position=reading.position,
        slot=slot,
        rule=RULE,
        snapshot=True,
        last_id=update_id,
        event_time_ns=time,
    )
    reading.depth(depth, message.bids, message.asks)
    return outcome.SNAPSHOT
