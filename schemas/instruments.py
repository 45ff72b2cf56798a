"""What is traded where, and how its integers scale: a rule by market, so that every step agrees."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from headrace.errors import RecordError

Kind = Literal["SPOT", "LINEAR", "INVERSE"]

E8 = 10**8
"""Cash, fees and notional are integers of 1e-8 of their currency."""

INSTRUMENTS_CACHED_MAX = 65_536


class UnknownInstrumentError(RecordError):
    """An instrument whose market is not in `MARKETS`."""


@dataclass(frozen=True, slots=True)
class Market:
    """What the instruments of one market share.

    One tick is 10**-price_scale of the quote currency, one lot 10**-size_scale of a unit of size.
    """

    price_scale: int
    size_scale: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument, named `market:symbol` with the venue's own symbol.

    `contract_value_e8` is what one unit of size is worth in the quote currency (INVERSE only).
    """

    name: str
    market: str
    symbol: str
    price_scale: int
    size_scale: int
    kind: Kind
    contract_value_e8: int


MARKETS = {
    "binance-spot": Market(8, 8, "SPOT"),
    "binance-usdm": Market(8, 8, "LINEAR"),
    "binance-coinm": Market(8, 8, "INVERSE"),
    "bitstamp": Market(8, 8, "SPOT"),
    "bybit-spot": Market(8, 8, "SPOT"),
    "bybit-linear": Market(8, 8, "LINEAR"),
    "bybit-inverse": Market(8, 8, "INVERSE"),
    "coinbase": Market(8, 8, "SPOT"),
    "kraken": Market(10, 8, "SPOT"),
    "okx": Market(8, 8, "SPOT"),
    "okx-linear": Market(8, 8, "LINEAR"),
    "okx-inverse": Market(8, 8, "INVERSE"),
    "sim": Market(8, 8, "SPOT"),
    "table": Market(8, 8, "SPOT"),
}

LIVE_MARKET = Market(8, 8, "SPOT")
"""Markets named `live-VENUE` come through a venue adapter that has already unified their units."""

CONTRACT_VALUE_DEFAULT_E8 = {
    "binance-coinm": 10 * E8,
    "bybit-inverse": 1 * E8,
    "okx-inverse": 10 * E8,
}
CONTRACT_VALUE_E8 = {
    "binance-coinm": {"BTCUSD": 100 * E8},
    "okx-inverse": {"BTC-USD": 100 * E8},
}
"""Worth of one contract in USD, by market and pair: in no frame, so written here."""

_PAIR = re.compile(r"[^_-]+(?:-[^_-]+)?")
"""`BTCUSD` of `BTCUSD_PERP`, `BTC-USD` of `BTC-USD-220527`."""


@lru_cache(maxsize=INSTRUMENTS_CACHED_MAX)
def instrument_of(name: str) -> Instrument:
    """Return the instrument of that name.

    Raises:  UnknownInstrumentError if the name has no market, or one that is not in `MARKETS`.
    """
    market_name, separator, symbol = name.partition(":")
    market = MARKETS.get(market_name)
    if market is None and market_name.startswith("live-"):
        market = LIVE_MARKET
    if market is None or not separator or not symbol:
        known = ", ".join(sorted(MARKETS))
        raise UnknownInstrumentError(
            f"instrument {name!r}: expected MARKET:SYMBOL with a market of {known} or live-VENUE; "
            "add the market to schemas/instruments.py"
        )
    value_e8 = 0
    if market.kind == "INVERSE":
        pair = _PAIR.match(symbol)
        values_e8 = CONTRACT_VALUE_E8.get(market_name, {})
        default_e8 = CONTRACT_VALUE_DEFAULT_E8[market_name]
        value_e8 = values_e8.get(pair.group() if pair else symbol, default_e8)
    return Instrument(
        name, market_name, symbol, market.price_scale, market.size_scale, market.kind, value_e8
    )
