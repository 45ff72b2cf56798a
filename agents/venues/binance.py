"""Binance: combined streams of spot, USD-M and COIN-M futures, and their REST depth snapshots.

Source:  ../shared/venues.md; developers.binance.com, "How to manage a local order book correctly".
"""

from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Raw

from agents.venues import outcome
from agents.venues.depth import Depth, DepthRule, Verdict
from agents.venues.outcome import FrameError
from agents.venues.reading import BUY, ID_MAX, SELL, UNKNOWN, Reading
from agents.venues.source_state import NAME_LENGTH_MAX
from agents.venues.timestamps import ABSENT, epoch_ns

Id = Annotated[int, msgspec.Meta(ge=-1, le=ID_MAX)]

SPOT = "binance-spot:"
USDM = "binance-usdm:"
NAMES_CACHED_MAX = 65_536
_ABSENT = Raw()


class _Event(msgspec.Struct, gc=False):
    """The fields, of all kinds, that are used; letters mean other things in other kinds."""

    e: str = ""
    s: str = ""
    E: Id = ABSENT
    T: Id = ABSENT
    u: Id = ABSENT
    U: Id = ABSENT
    pu: Id = ABSENT
    t: Id = ABSENT
    b: Raw = _ABSENT
    B: Raw = _ABSENT
    a: Raw = _ABSENT
    A: Raw = _ABSENT
    p: Raw = _ABSENT
    q: Raw = _ABSENT
    m: bool | None = None
    M: bool | None = None
    last_update_id: Id = msgspec.field(default=ABSENT, name="lastUpdateId")
    symbol: str = ""
    bids: Raw = _ABSENT
    asks: Raw = _ABSENT
    id: Raw = _ABSENT
    error: Raw = _ABSENT


class _Envelope(msgspec.Struct, gc=False):
    stream: str = ""
    data: _Event | list[Raw] | None = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def read_frame(payload: bytes, reading: Reading) -> str:
    """Read a frame of a combined stream, of a single stream, or a REST snapshot."""
    envelope = _decode_envelope(payload)
    event = envelope.data
    if event is None:
        event = _decode_event(payload)
    elif isinstance(event, list):
        return outcome.IGNORED_TYPE  # only statistics of all markets come as lists
    kind = event.e
    if kind == "bookTicker" or (not kind and event.s and event.A):
        return _read_quote(event, reading)
    if kind == "trade":
        return _read_trade(event, event.t, reading)
    if kind == "depthUpdate":
        return _read_depth(event, envelope.stream, reading)
    if kind == "aggTrade":
        return _read_trade(event, _aggregate_id(event.a), reading)
    return _read_other(event, envelope.stream, reading)


def _read_other(event: _Event, stream: str, reading: Reading) -> str:
    if event.last_update_id != ABSENT:
        return _read_snapshot(event, stream, reading)
    if event.e == "serverShutdown" or event.id or event.error:
        return outcome.CONTROL
    if event.e:
        return outcome.IGNORED_TYPE
    raise FrameError(outcome.UNKNOWN_FRAME, "expected an event (`e`), a quote or a snapshot")


def judge(last_id: int, fresh: bool, change: Depth) -> Verdict:
    """Return what a change is to a book at `last_id`; futures name the id before (`pu`)."""
    futures = change.previous_id != ABSENT
    if change.last_id < last_id or (change.last_id == last_id and not (futures and fresh)):
        return Verdict.STALE
    if not futures:
        return Verdict.NEXT if change.first_id <= last_id + 1 else Verdict.GAP
    if fresh:
        # `U <= lastUpdateId <= u`; ids between `pu` and `U` are of other instruments.
        return Verdict.NEXT if change.previous_id <= last_id else Verdict.GAP
    return Verdict.NEXT if change.previous_id == last_id else Verdict.GAP


RULE = DepthRule(judge, snapshot_apart=True, gives_quotes=False)


@lru_cache(maxsize=NAMES_CACHED_MAX)
def futures_name(symbol: str) -> str:
    """Return the instrument of a futures symbol; COIN-M's are quoted in USD: `BTCUSD_PERP`."""
    pair, separator, _ = symbol.partition("_")
    return f"{'binance-coinm' if separator and pair.endswith('USD') else 'binance-usdm'}:{symbol}"


def _named(symbol: str) -> str:
    """Return the symbol if it can be one: what is not must not fill the cache of names."""
    if not symbol or len(symbol) > NAME_LENGTH_MAX:
        raise FrameError(outcome.MALFORMED, f"symbol (`s`) {symbol[:40]!r}: expected a name")
    return symbol


def _read_quote(event: _Event, reading: Reading) -> str:
    # Spot alone sends quotes without a kind.
    name = futures_name(_named(event.s)) if event.e else SPOT + event.s
    time = event.T if event.T != ABSENT else event.E
    reading.quote(
        reading.slot(name),
        (event.b, event.B, event.a, event.A),
        event.u,
        ABSENT if time == ABSENT else epoch_ns(time),
    )
    return outcome.QUOTE


def _read_trade(event: _Event, trade_id: int, reading: Reading) -> str:
    # `M` (a field without meaning) is in spot trades alone.
    symbol = _named(event.s)
    slot = reading.slot(futures_name(symbol) if event.M is None else SPOT + symbol)
    if not reading.claim(slot, "trade", event.e):
        return outcome.IGNORED_TYPE
    maker = event.m
    reading.trade(
        slot,
        event.p,
        event.q,
        UNKNOWN if maker is None else (SELL if maker else BUY),
        trade_id=trade_id,
        event_time_ns=epoch_ns(event.T if event.T != ABSENT else event.E),
    )
    return outcome.TRADE


def _aggregate_id(text: Raw) -> int:
    try:
        return msgspec.json.decode(text, type=Id)
    except msgspec.DecodeError as error:
        raise FrameError(outcome.MALFORMED, f"aggTrade `a`: {error}") from error


def _read_depth(event: _Event, stream: str, reading: Reading) -> str:
    if ABSENT in (event.u, event.U):
        raise FrameError(outcome.MALFORMED, "depthUpdate: expected update ids `U` and `u`")
    symbol = _named(event.s)
    slot = reading.slot(SPOT + symbol if event.pu == ABSENT else futures_name(symbol))
    partial = _is_partial(stream)
    if not reading.claim(slot, "book", "partial" if partial else "whole"):
        return outcome.IGNORED_TYPE
    reading.depth(
        Depth(
            position=reading.position,
            slot=slot,
            rule=RULE,
            snapshot=partial,
            first_id=event.U,
            last_id=event.u,
            previous_id=event.pu,
            event_time_ns=epoch_ns(event.T if event.T != ABSENT else event.E),
        ),
        event.b,
        event.a,
    )
    return outcome.SNAPSHOT if partial else outcome.DEPTH


def _is_partial(stream: str) -> bool:
    """Return whether a stream sends the best levels whole each time: `@depth20`, not `@depth`."""
    return stream.partition("@depth")[2][:1].isdigit()


def _read_snapshot(event: _Event, stream: str, reading: Reading) -> str:
    slot = _snapshot_slot(event, stream, reading)
    if not reading.claim(slot, "book", "partial" if stream else "whole"):
        return outcome.IGNORED_TYPE
    reading.depth(
        Depth(
            position=reading.position,
            slot=slot,
            rule=RULE,
            snapshot=True,
            last_id=event.last_update_id,
            event_time_ns=epoch_ns(event.T if event.T != ABSENT else event.E),
        ),
        event.bids,
        event.asks,
    )
    return outcome.SNAPSHOT


def _snapshot_slot(event: _Event, stream: str, reading: Reading) -> int:
    """Return whose book a snapshot is: most do not say, so it must be the source's only one."""
    if event.symbol:
        return reading.slot(futures_name(_named(event.symbol)))
    if stream:
        return reading.slot(SPOT + stream.partition("@")[0].upper())
    # Snapshots of futures carry times, those of spot none.
    market = SPOT if event.E == ABSENT else USDM
    return reading.only_slot(market)
