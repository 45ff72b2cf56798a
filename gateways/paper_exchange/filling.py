"""What the paper exchange does with an order: the paper venue's rules, at the order's own price.

The exchange has no market. It quotes every order its own limit price, with size enough to fill it
(or half of it, for a part of the orders), and the rules of `agents/trading/paper_venue.py` do the
rest: fees, rounding, what is refused. So fills are real records of the right form, and their prices
prove nothing about a strategy.
"""

from zlib import crc32

import numpy as np

from agents.trading.paper_venue import BPS, PaperVenueRules, StreamVenue, answer, refuse
from agents.trading.quote_history import PAGE_QUOTES
from agents.trading.records import VenueOrder, VenueReport
from headrace.errors import InvariantError
from schemas.instruments import UnknownInstrumentError, instrument_of

SIZE_LOTS_MAX = 2**61
"""Of a quote, so that it fits 64 bits."""


def reports_of(
    order: VenueOrder, rules: PaperVenueRules, *, partial: float
) -> tuple[VenueReport, ...]:
    """Return all reports of an order, the same at every call; `partial` of orders are filled half.

    The last report ends the order.
    """
    try:
        instrument = instrument_of(order.instrument)
    except UnknownInstrumentError:
        return refuse(order, "instrument_unknown", rules)
    is_partial = crc32(order.client_order_id.encode()) / 2**32 < partial
    wanted = order.quantity_lots // 2 if is_partial else order.quantity_lots
    size = min(SIZE_LOTS_MAX, wanted * BPS // rules.participation_bps + 1)
    venue = StreamVenue(PAGE_QUOTES)
    arrival_ns = order.send_time_ns + rules.latency_ns
    for sequence, time_ns in enumerate((order.send_time_ns, arrival_ns + 1), start=1):
        price = order.limit_price_ticks
        venue.quotes.append(np.array([[time_ns], [sequence], [price], [size], [price], [size]]))
    reports = answer(order, venue, instrument, rules)
    if reports is None:
        raise InvariantError(f"order {order.client_order_id}: its own quotes do not answer it")
    return reports
