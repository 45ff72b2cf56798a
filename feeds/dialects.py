"""Whose language a frame is written in: told by the address of its connection, or by its shape."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

UNKNOWN = "unknown"
"""No known dialect: the ingest agent sends such frames to the dead letters."""

_VENUE_BY_DOMAIN = {
    "binance.com": "binance",
    "binance.us": "binance",
    "binance.vision": "binance",
    "coinbase.com": "coinbase",
    "kraken.com": "kraken",
    "okx.com": "okx",
    "okex.com": "okx",
    "bitstamp.net": "bitstamp",
    "bybit.com": "bybit",
    "bytick.com": "bybit",
}

_OTHER_DIALECTS = ("futures.kraken.com", "international.coinbase.com")
"""Hosts of the same owners that speak a language of their own."""

# Each is linear in the frame: a part that could match in several places names what ends it.
_SHAPES = tuple(
    (venue, re.compile(pattern, re.ASCII))
    for venue, pattern in (
        ("binance", r'\{"stream":"|\{"lastUpdateId":|\{"e":"\w+","E":\d'),
        ("okx", r'\{"arg":\{"channel":|\{"event":"\w+","arg":\{"channel":'),
        ("bybit", r'\{"topic":"(?:orderbook|publicTrade|tickers|kline)\.'),
        ("plain", r'\{"type":"(?:trade|quote|book)","instrument":'),
        ("kraken", r'\[\d+,.*"(?:book-\d+|trade|spread|ticker)","[^"/]+/[^"]+"\]$'),
        ("kraken", r'\{"channel":"(?:book|trade|ticker)","(?:type|data)":'),
        ("coinbase", r'\{"type":"[a-z0-9_]+",.*"product_id"'),
        ("coinbase", r'\{"channel":"\w+",.*"sequence_num":'),
        ("bitstamp", r'\{.*"channel":"(?:diff_order_book|order_book|live_trades|live_orders)_'),
    )
)

_SHAPE_TRIALS_MAX = 64
"""Frames of one chunk looked at while the venue is unknown: acknowledgements come first."""


def venue_of_address(address: str) -> str:
    """Return the dialect spoken at this WebSocket address, `UNKNOWN` if it is none we read."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:  # half a bracket, a host of characters that none may have
        return UNKNOWN
    if host.endswith(_OTHER_DIALECTS):
        return UNKNOWN
    domain = ".".join(host.rsplit(".", 2)[-2:])
    return _VENUE_BY_DOMAIN.get(domain, UNKNOWN)


def venue_of_frames(payloads: Iterable[str]) -> str:
    """Return the dialect of the first frame whose shape leaves no doubt, else `UNKNOWN`."""
    for _, payload in zip(range(_SHAPE_TRIALS_MAX), payloads, strict=False):
        for venue, shape in _SHAPES:
            if shape.match(payload):
                return venue
    return UNKNOWN
