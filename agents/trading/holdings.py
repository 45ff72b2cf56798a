"""What an account holds of an instrument: the sum of its fills, in integers."""

import msgspec

from agents.trading.amounts import cash_delta_e8, position_value_e8
from agents.trading.records import BUY, Position, VenueReport
from schemas.instruments import Instrument


class Holding(msgspec.Struct, array_like=True):
    """A position with its cash."""

    quantity_lots: int = 0
    cash_e8: int = 0
    fees_e8: int = 0
    fill_count: int = 0
    mark_price_ticks: int = 0
    event_time_ns: int = 0


def add_fill(holding: Holding, instrument: Instrument, fill: VenueReport) -> int:
    """Add a fill and return the change of cash, fee included, settlement currency times 10^8."""
    delta = cash_delta_e8(
        instrument,
        fill.side,
        price_ticks=fill.price_ticks,
        size_lots=fill.quantity_lots,
        fee_e8=fill.fee_e8,
    )
    holding.quantity_lots += fill.quantity_lots if fill.side == BUY else -fill.quantity_lots
    holding.cash_e8 += delta
    holding.fees_e8 += fill.fee_e8
    holding.fill_count += 1
    holding.mark_price_ticks = fill.price_ticks
    holding.event_time_ns = fill.venue_time_ns
    return delta


def position_of(holding: Holding, instrument: Instrument, account: str) -> Position:
    """Return the record of a holding, valued at its last fill, rounded down."""
    value = position_value_e8(instrument, holding.mark_price_ticks, holding.quantity_lots)
    return Position(
        account=account,
        instrument=instrument.name,
        quantity_lots=holding.quantity_lots,
        cash_e8=holding.cash_e8,
        fees_e8=holding.fees_e8,
        fill_count=holding.fill_count,
        mark_price_ticks=holding.mark_price_ticks,
        profit_e8=holding.cash_e8 + value,
        event_time_ns=holding.event_time_ns,
    )
