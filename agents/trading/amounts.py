"""Money in integers: every division says which way it rounds, and that is against us.

SPOT and LINEAR settle in the quote currency. An INVERSE contract is worth `contract_value_e8` of
the quote currency and settles in the base currency at value / price: who buys it is owed that
much base currency and owes it back, at the price of that time, when the contract is sold. So an
INVERSE purchase brings cash in, and a long position is a debt that shrinks as the price rises.
"""

from agents.trading.records import BUY
from schemas.instruments import E8, Instrument


def divide(number: int, by: int, *, up: bool) -> int:
    """Return number / by, rounded to +infinity if `up`, else to -infinity; `by` is above 0."""
    return -(-number // by) if up else number // by


def notional_e8(instrument: Instrument, price_ticks: int, size_lots: int) -> int:
    """Return what a size is worth at a price, in quote currency times 10^8, rounded up."""
    if instrument.kind == "INVERSE":
        number = size_lots * instrument.contract_value_e8
        return divide(number, _lots_in_one(instrument), up=True)
    scale: int = 10 ** (instrument.price_scale + instrument.size_scale)
    return divide(price_ticks * size_lots * E8, scale, up=True)


def settlement_e8(instrument: Instrument, price_ticks: int, size_lots: int, *, up: bool) -> int:
    """Return what settles when a size trades at a price, in settlement currency times 10^8.

    `price_ticks` is above 0; `size_lots` may be negative.
    """
    price_scale: int = 10**instrument.price_scale
    if instrument.kind == "INVERSE":
        number = size_lots * instrument.contract_value_e8 * price_scale
        return divide(number, _lots_in_one(instrument) * price_ticks, up=up)
    number = price_ticks * size_lots * E8
    return divide(number, price_scale * _lots_in_one(instrument), up=up)


def cash_delta_e8(
    instrument: Instrument, side: str, *, price_ticks: int, size_lots: int, fee_e8: int
) -> int:
    """Return the change of cash by a fill, fee included: paid is rounded up, received down."""
    pays = (side == BUY) != (instrument.kind == "INVERSE")
    amount = settlement_e8(instrument, price_ticks, size_lots, up=pays)
    return (-amount if pays else amount) - fee_e8


def position_value_e8(instrument: Instrument, price_ticks: int, position_lots: int) -> int:
    """Return what a signed position would settle for at a price, rounded down."""
    signed_lots = -position_lots if instrument.kind == "INVERSE" else position_lots
    return settlement_e8(instrument, price_ticks, signed_lots, up=False)


def fee_e8(instrument: Instrument, price_ticks: int, size_lots: int, *, rate_e8: int) -> int:
    """Return the fee on a fill in settlement currency times 10^8, rounded up."""
    return divide(settlement_e8(instrument, price_ticks, size_lots, up=True) * rate_e8, E8, up=True)


def lots_for_notional(
    instrument: Instrument, price_ticks: int, notional_limit_e8: int, *, step_lots: int
) -> int:
    """Return the most lots worth at most that notional: whole contracts, or multiples of a step."""
    if instrument.kind == "INVERSE":
        contracts = notional_limit_e8 // instrument.contract_value_e8
        return contracts * _lots_in_one(instrument)
    scale: int = 10 ** (instrument.price_scale + instrument.size_scale)
    lots = notional_limit_e8 * scale // (price_ticks * E8)
    return lots // step_lots * step_lots


def tradable_step_lots(instrument: Instrument) -> int:
    """Return the smallest size that can trade: a contract where there are contracts, else a lot."""
    return _lots_in_one(instrument) if instrument.kind == "INVERSE" else 1


def _lots_in_one(instrument: Instrument) -> int:
    lots: int = 10**instrument.size_scale
    return lots
