"""How the paper venue fills an order against a recorded quote (docs/risk.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from agents.trading.amounts import fee_e8, tradable_step_lots
from agents.trading.pages import Box, RecentMap, Section
from agents.trading.quote_history import (
    ASK_PRICE,
    ASK_SIZE,
    ASK_TAKEN,
    BID_PRICE,
    BID_SIZE,
    BID_TAKEN,
    QUOTE_HISTORY_MAX,
    SEQUENCE,
    TIME,
    QuoteHistory,
)
from agents.trading.records import BUY, SELL, VenueOrder, VenueReport
from schemas.instruments import E8, Instrument

BPS = 10_000

WAITING_ORDERS_MAX = 512
"""Orders of an instrument that wait for a quote past their arrival: one page, at most 75 KB."""

DONE_PAGES = 32
DONE_PAGE_KEYS = 16
"""512 orders of an instrument whose answer is remembered, to be given again."""


@dataclass(frozen=True, slots=True)
class PaperVenueRules:
    """How the paper venue behaves.

    `latency_ns`         from send to arrival
    `participation_bps`  the part of a quote's size that we may take, all our orders together
    `quote_age_max_ns`   how old the prevailing quote may be at arrival
    `fee_rate_e8`        taker fee as a part of what settles, times 10^8 (10 bps = 100,000), by
                         market; `fee_rate_any_e8` for the others
    """

    latency_ns: int = 5_000_000
    participation_bps: int = 5_000
    quote_age_max_ns: int = 5_000_000_000
    fee_rate_e8: Mapping[str, int] = field(
        default_factory=lambda: {"binance-usdm": 50_000, "binance-coinm": 50_000}
    )
    fee_rate_any_e8: int = 100_000

    def __post_init__(self) -> None:
        """Refuse rules that make no sense.

        Raises:  ValueError naming the rule.
        """
        if min(self.latency_ns, self.quote_age_max_ns) < 0:
            raise ValueError("PaperVenueRules: latency_ns and quote_age_max_ns: expected 0 or more")
        if not 1 <= self.participation_bps <= BPS:
            raise ValueError(f"PaperVenueRules.participation_bps: expected 1 to {BPS}")
        for rate in (self.fee_rate_any_e8, *self.fee_rate_e8.values()):
            if not 0 <= rate < E8:
                raise ValueError(f"PaperVenueRules: fee rates: expected 0 to {E8 - 1}, got {rate}")

    def fee_rate_of(self, instrument: Instrument) -> int:
        """Return the taker fee of an instrument."""
        return self.fee_rate_e8.get(instrument.market, self.fee_rate_any_e8)


class Done(msgspec.Struct, array_like=True):
    """The answer to an order."""

    send_time_ns: int
    reports: tuple[VenueReport, ...]


class Desk(msgspec.Struct, array_like=True):
    """What waits in an instrument, and up to which send time answers have been forgotten."""

    waiting: list[VenueOrder] = msgspec.field(default_factory=list)
    forgotten_time_ns: int = 0


class StreamVenue:
    """The paper venue's side of one stream: an instrument as one source tells of it."""

    def __init__(self, quotes_max: int = QUOTE_HISTORY_MAX) -> None:
        self.desk = Box(Desk, Desk())
        self.done = RecentMap(Done, page_count=DONE_PAGES, page_keys=DONE_PAGE_KEYS)
        self.quotes = QuoteHistory(quotes_max)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the sections, in the order of their pages."""
        return (self.desk, self.done, self.quotes)


def answer(
    order: VenueOrder, venue: StreamVenue, instrument: Instrument, rules: PaperVenueRules
) -> tuple[VenueReport, ...] | None:
    """Return the reports of an order, the same ones if it was answered before.

    None while it can't be known which quote prevails when the order arrives: until one is seen
    that was received after that.
    """
    done = venue.done.read(order.client_order_id)
    if done is not None:
        return done.reports
    if order.send_time_ns <= venue.desk.read().forgotten_time_ns:
        return refuse(order, "answer_forgotten", rules)
    arrival_ns = order.send_time_ns + rules.latency_ns
    if venue.quotes.last_time_ns <= arrival_ns:
        return None
    reports = _meet(order, venue.quotes, instrument, rules)
    remember(order, reports, venue)
    return reports


def remember(order: VenueOrder, reports: tuple[VenueReport, ...], venue: StreamVenue) -> None:
    """Keep an answer; the oldest is forgotten, and with it every order sent no later."""
    forgotten = venue.done.add(order.client_order_id, Done(order.send_time_ns, reports))
    if forgotten is not None and forgotten.send_time_ns > venue.desk.read().forgotten_time_ns:
        venue.desk.edit().forgotten_time_ns = forgotten.send_time_ns


def refuse(order: VenueOrder, reason: str, rules: PaperVenueRules) -> tuple[VenueReport, ...]:
    """Return the answer to an order that is not looked at."""
    return _rejected(order, order.send_time_ns + rules.latency_ns, reason)


def _meet(
    order: VenueOrder, quotes: QuoteHistory, instrument: Instrument, rules: PaperVenueRules
) -> tuple[VenueReport, ...]:
    """Fill what can be filled against the quote that prevails at arrival; cancel the rest."""
    time_ns = order.send_time_ns + rules.latency_ns
    number = quotes.prevailing(time_ns)
    reason = _unusable(order, quotes, number, time_ns, rules)
    if reason:
        return _rejected(order, time_ns, reason)
    buys = order.side == BUY
    price = quotes.value(number, ASK_PRICE if buys else BID_PRICE)
    acknowledged = _report(order, time_ns, 1, "ACKNOWLEDGED")
    if (price > order.limit_price_ticks) if buys else (price < order.limit_price_ticks):
        return acknowledged, _canceled(order, time_ns, 2, order.quantity_lots, "not_marketable")
    taken_column = ASK_TAKEN if buys else BID_TAKEN
    shown = quotes.value(number, ASK_SIZE if buys else BID_SIZE)
    left = shown * rules.participation_bps // BPS - quotes.value(number, taken_column)
    step = tradable_step_lots(instrument)
    lots = min(order.quantity_lots, max(0, left)) // step * step
    if lots == 0:
        return acknowledged, _canceled(order, time_ns, 2, order.quantity_lots, "no_size")
    quotes.take(number, taken_column, lots)
    filled = _report(
        order,
        time_ns,
        2,
        "FILLED",
        quantity_lots=lots,
        price_ticks=price,
        fee_e8=fee_e8(instrument, price, lots, rate_e8=rules.fee_rate_of(instrument)),
        quote_sequence=quotes.value(number, SEQUENCE),
    )
    rest = order.quantity_lots - lots
    if rest == 0:
        return acknowledged, filled
    return acknowledged, filled, _canceled(order, time_ns, 3, rest, "immediate_or_cancel")


def _unusable(
    order: VenueOrder, quotes: QuoteHistory, number: int, time_ns: int, rules: PaperVenueRules
) -> str:
    """Return why an order can't be met by a quote, or an empty string."""
    if order.quantity_lots < 1 or order.limit_price_ticks < 1 or order.side not in {BUY, SELL}:
        return "order_invalid"
    if number < quotes.first:
        return "quote_history_exceeded" if quotes.first else "quote_missing"
    bid, ask = quotes.value(number, BID_PRICE), quotes.value(number, ASK_PRICE)
    if not 0 < bid <= ask:
        return "quote_crossed" if bid > 0 else "quote_invalid"
    if time_ns - quotes.value(number, TIME) > rules.quote_age_max_ns:
        return "quote_stale"
    return ""


def _rejected(order: VenueOrder, time_ns: int, reason: str) -> tuple[VenueReport, ...]:
    lots = order.quantity_lots
    return (_report(order, time_ns, 1, "REJECTED", quantity_lots=lots, reason=reason),)


def _canceled(
    order: VenueOrder, time_ns: int, sequence: int, lots: int, reason: str
) -> VenueReport:
    return _report(order, time_ns, sequence, "CANCELED", quantity_lots=lots, reason=reason)


def _report(
    order: VenueOrder,
    time_ns: int,
    sequence: int,
    kind: str,
    *,
    quantity_lots: int = 0,
    price_ticks: int = 0,
    fee_e8: int = 0,
    reason: str = "",
    quote_sequence: int = 0,
) -> VenueReport:
    return VenueReport(
        client_order_id=order.client_order_id,
        account=order.account,
        instrument=order.instrument,
        report_sequence=sequence,
        kind=kind,
        side=order.side,
        quantity_lots=quantity_lots,
        price_ticks=price_ticks,
        fee_e8=fee_e8,
        reason=reason,
        venue_time_ns=time_ns,
        quote_sequence=quote_sequence,
    )
