"""How records are worded for a person watching."""

from collections.abc import Mapping
from typing import Any

from schemas.instruments import E8, instrument_of


def position_row(position: Mapping[str, Any]) -> dict[str, str]:
    """Return a position in units and currency."""
    instrument = instrument_of(position["instrument"])
    return {
        "account": position["account"],
        "instrument": instrument.name,
        "position": f"{position['quantity_lots'] / 10**instrument.size_scale:,.4f}",
        "last price": f"{position['mark_price_ticks'] / 10**instrument.price_scale:,.2f}",
        "fills": f"{position['fill_count']:,}",
        "fees": f"{position['fees_e8'] / E8:,.6f}",
        "PnL": f"{position['profit_e8'] / E8:,.6f}",
        "currency": "base" if instrument.kind == "INVERSE" else "quote",
    }
