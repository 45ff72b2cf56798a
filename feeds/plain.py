"""The `plain` dialect: frames of our own making, for feeds that have no venue's frames to pass on.

{"type":"trade","instrument":I,"price":P,"size":S,"side":"buy"|"sell"|null,"trade_id":N|null,
 "event_time_ns":N|null}
{"type":"quote","instrument":I,"bid":P,"bid_size":S,"ask":P,"ask_size":S,"update_id":N|null,
 "event_time_ns":N|null}
{"type":"book","instrument":I,"bids":[[P,S],…],"asks":[[P,S],…],"update_id":N|null,
 "event_time_ns":N|null}: a snapshot, best first. I is `market:symbol`; P and S are decimal texts.
"""

import json
from collections.abc import Iterable, Sequence

VENUE = "plain"


def json_text(text: str | None) -> str:
    """Return a text, quoted and escaped, or `null`: once for an instrument, not once a frame."""
    return json.dumps(text)


def trade_frame(
    instrument_json: str,
    price: str,
    size: str,
    *,
    side: str | None,
    trade_id: int | None,
    event_time_ns: int | None,
) -> str:
    """Return a trade; `instrument_json` comes from `json_text`, `price` and `size` are decimals."""
    return (
        f'{{"type":"trade","instrument":{instrument_json},"price":"{price}","size":"{size}",'
        f'"side":{_nullable(side)},"trade_id":{_number(trade_id)},'
        f'"event_time_ns":{_number(event_time_ns)}}}'
    )


def quote_frame(
    instrument_json: str,
    bid: Sequence[str],
    ask: Sequence[str],
    update_id: int | None,
    event_time_ns: int | None,
) -> str:
    """Return the best quote; `bid` and `ask` are (price, size) as decimals."""
    return (
        f'{{"type":"quote","instrument":{instrument_json},"bid":"{bid[0]}","bid_size":"{bid[1]}",'
        f'"ask":"{ask[0]}","ask_size":"{ask[1]}","update_id":{_number(update_id)},'
        f'"event_time_ns":{_number(event_time_ns)}}}'
    )


def book_frame(
    instrument_json: str,
    bids: Iterable[Sequence[str]],
    asks: Iterable[Sequence[str]],
    update_id: int | None,
    event_time_ns: int | None,
) -> str:
    """Return a snapshot of the book; each level is (price, size) as decimals, best first."""
    return (
        f'{{"type":"book","instrument":{instrument_json},"bids":[{_levels(bids)}],'
        f'"asks":[{_levels(asks)}],"update_id":{_number(update_id)},'
        f'"event_time_ns":{_number(event_time_ns)}}}'
    )


def _levels(levels: Iterable[Sequence[str]]) -> str:
    return ",".join(f'["{level[0]}","{level[1]}"]' for level in levels)


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _nullable(text: str | None) -> str:
    return "null" if text is None else f'"{text}"'
