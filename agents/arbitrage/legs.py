"""Which instruments are prices of the same asset, and which side of a basis each is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Leg:
    """What an instrument is to a basis."""

    asset: str
    side: Literal["SPOT", "FUTURE"]


Legs = Mapping[str, Leg]
"""Legs by the instrument's name. One spot market an asset: its quotes are what futures are held
against, whichever came last."""

LEGS: Legs = {
    "binance-spot:BTCUSDT": Leg("BTC", "SPOT"),
    "binance-usdm:BTCUSDT": Leg("BTC", "FUTURE"),
    # Quoted in USD, not USDT: its basis holds the price of a USDT as well.
    "binance-coinm:BTCUSD_PERP": Leg("BTC", "FUTURE"),
    "binance-spot:ETHUSDT": Leg("ETH", "SPOT"),
    "binance-usdm:ETHUSDT": Leg("ETH", "FUTURE"),
    # So that the graph does something without a network; their prices have nothing in common.
    "sim:SIM01": Leg("SIM", "SPOT"),
    "sim:SIM02": Leg("SIM", "FUTURE"),
}
