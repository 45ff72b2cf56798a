"""The pre-trade checks in their fixed order, each with its code, its unit and its figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from agents.trading.amounts import divide, notional_e8
from agents.trading.controls import HALTED, REDUCING, ControlState, tighter
from agents.trading.exposure import AccountRisk, Head, InstrumentRisk, lots_at_most
from agents.trading.limits import AccountLimits, InstrumentLimits, RiskLimits
from agents.trading.rates import RateWindow, is_provable, orders_around
from agents.trading.records import BUY, SELL, OrderRequest
from agents.trading.signals import STRATEGIES_MAX, Standing
from schemas.instruments import E8, Instrument, UnknownInstrumentError, instrument_of
from schemas.streams import stream_of

BPS = 10_000


@dataclass(frozen=True, slots=True)
class Breach:
    """A check that failed: what it allows and what the request would have made it."""

    check: str
    limit: int
    actual: int
    detail: str


@dataclass(frozen=True, slots=True)
class Case:
    """A request to be judged against an account; nothing in it is changed.

    `control` is the tighter of what operators said of the account and of all accounts.
    """

    request: OrderRequest
    head: Head
    risk: InstrumentRisk
    instrument: Instrument
    limits: AccountLimits
    instrument_limits: InstrumentLimits
    open_orders: int
    control: str

    @property
    def mark_price_ticks(self) -> int:
        """Return mid, rounded up."""
        return divide(self.request.bid_price_ticks + self.request.ask_price_ticks, 2, up=True)

    @property
    def worst_price_ticks(self) -> int:
        """Return the dearest price the order is valued at: its limit or mid."""
        return max(self.request.limit_price_ticks, self.mark_price_ticks)

    @property
    def side_lots(self) -> int:
        """Return the position on the order's side if it and every open order there were filled."""
        risk, quantity = self.risk, self.request.quantity_lots
        if self.request.side == BUY:
            return risk.position_lots + risk.reserved_buy_lots + quantity
        return risk.reserved_sell_lots + quantity - risk.position_lots


Check: TypeAlias = Callable[[Case], Breach | None]


def judge(
    request: OrderRequest,
    account: AccountRisk | None,
    limits: RiskLimits,
    *,
    everyone: ControlState,
) -> tuple[Breach | None, Case | None]:
    """Return the first check that fails, or None; and the case, if the request made one.

    `account` is None if nothing is remembered of it; `everyone` is the control of all accounts.
    """
    account_limits = limits.of_account(request.account)
    if account_limits is None:
        known = len(limits.accounts)
        return Breach("account_unknown", known, 0, f"account {request.account!r} is unknown"), None
    account = account or AccountRisk()
    breach = _repeated(request, account) or _malformed(request)
    if breach is not None:
        return breach, None
    try:
        instrument = instrument_of(request.instrument)
    except UnknownInstrumentError as error:
        return Breach("instrument_unknown", 0, 0, str(error)), None
    case = Case(
        request,
        account.head.read(),
        account.instruments.read(request.instrument) or InstrumentRisk(),
        instrument,
        account_limits,
        account_limits.of_instrument(instrument),
        len(account.reservations),
        tighter(account.control.read(), everyone),
    )
    for check in CHECKS:
        breach = check(case)
        if breach is not None:
            return breach, case
    return None, case


def _repeated(request: OrderRequest, account: AccountRisk) -> Breach | None:
    stream = stream_of(request.source, request.instrument)
    sequence, time_ns = request.signal_sequence, request.request_time_ns
    standing = account.signals.judge(stream, request.strategy, sequence, time_ns)
    if standing is Standing.NEW:
        return None
    if standing is Standing.CROWDED:
        detail = f"{STRATEGIES_MAX} strategies trade {request.instrument} of {request.source}"
        return Breach("stream_strategies", STRATEGIES_MAX, STRATEGIES_MAX + 1, detail)
    if standing is Standing.FORGOTTEN:
        first_ns = account.signals.forgotten_ns + 1
        detail = (
            f"signals of {request.instrument} of {request.source} up to {first_ns - 1} ns are no "
            f"longer known: this one is of {time_ns} ns"
        )
        return Breach("stream_forgotten", first_ns, time_ns, detail)
    last = account.signals.last(stream, request.strategy)
    detail = f"signal {sequence} of {request.instrument} was judged: expected above {last}"
    return Breach("duplicate_request", last + 1, sequence, detail)


def _malformed(request: OrderRequest) -> Breach | None:
    least = min(request.quantity_lots, request.limit_price_ticks)
    if least > 0 and request.side in {BUY, SELL}:
        return None
    detail = (
        f"expected BUY or SELL, quantity and limit price above 0, found {request.side}, "
        f"{request.quantity_lots} lots, {request.limit_price_ticks} ticks"
    )
    return Breach("request_invalid", 1, least, detail)


def check_halted(case: Case) -> Breach | None:
    """Refuse everything in a HALTED account."""
    if case.control != HALTED:
        return None
    return Breach("account_halted", 0, 1, "the account is HALTED: no order is allowed")


def check_tradable(case: Case) -> Breach | None:
    """Refuse an instrument that the account may not trade."""
    if case.instrument_limits.tradable:
        return None
    return Breach("instrument_not_tradable", 0, 1, f"{case.instrument.name} is not tradable")


def check_quote_valid(case: Case) -> Breach | None:
    """Refuse a decision on a quote that is invalid, crossed, empty or from the future."""
    request = case.request
    bid, ask = request.bid_price_ticks, request.ask_price_ticks
    in_time = 0 < request.quote_time_ns <= request.request_time_ns
    if request.quote_valid and 0 < bid <= ask and in_time:
        return None
    detail = (
        f"valid={request.quote_valid}, bid {bid}, ask {ask} ticks, quote at "
        f"{request.quote_time_ns} ns, request at {request.request_time_ns} ns"
    )
    return Breach("quote_invalid", ask, bid, detail)


def check_book(case: Case) -> Breach | None:
    """Refuse a decision made while the instrument's book had a gap."""
    if case.request.book_valid:
        return None
    return Breach("book_invalid", 1, 0, f"the book of {case.instrument.name} had a gap")


def check_quote_age(case: Case) -> Breach | None:
    """Refuse a decision on an old quote; ns."""
    age_ns = case.request.request_time_ns - case.request.quote_time_ns
    limit_ns = case.limits.quote_age_max_ns
    if age_ns <= limit_ns:
        return None
    return Breach("quote_stale", limit_ns, age_ns, f"quote is {age_ns / 1e6:.3f} ms old")


def check_price_collar(case: Case) -> Breach | None:
    """Refuse a limit price far from mid, either way; bps of mid, rounded up."""
    request = case.request
    mid_twice = request.bid_price_ticks + request.ask_price_ticks
    away_twice = abs(2 * request.limit_price_ticks - mid_twice)
    away_bps = divide(away_twice * BPS, mid_twice, up=True)
    limit_bps = case.limits.price_collar_bps
    if away_bps <= limit_bps:
        return None
    detail = f"limit {request.limit_price_ticks} ticks is {away_bps} bps from mid {mid_twice / 2}"
    return Breach("price_collar", limit_bps, away_bps, detail)


def check_quantity(case: Case) -> Breach | None:
    """Refuse an order that is too large; lots."""
    limit, quantity = case.instrument_limits.max_quantity_lots, case.request.quantity_lots
    if quantity <= limit:
        return None
    return Breach("max_quantity", limit, quantity, f"an order of {quantity} lots")


def check_notional(case: Case) -> Breach | None:
    """Refuse an order that is worth too much; quote currency times 10^8."""
    limit = case.limits.order_notional_max_e8
    actual = notional_e8(case.instrument, case.worst_price_ticks, case.request.quantity_lots)
    if actual <= limit:
        return None
    return Breach("max_notional", limit, actual, f"an order worth {_money(actual)}")


def check_rate_instrument(case: Case) -> Breach | None:
    """Refuse too many orders in a second in one instrument."""
    limit = case.limits.rate_instrument_max
    return _rate_breach("rate_instrument", case.risk.rate, case.request.request_time_ns, limit)


def check_rate_account(case: Case) -> Breach | None:
    """Refuse too many orders in a second over all instruments."""
    limit = case.limits.rate_account_max
    return _rate_breach("rate_account", case.head.rate, case.request.request_time_ns, limit)


def check_open_orders(case: Case) -> Breach | None:
    """Refuse an order beyond the number that may be open at once."""
    limit, actual = case.limits.open_orders_max, case.open_orders + 1
    if actual <= limit:
        return None
    return Breach("open_orders", limit, actual, f"it would be open order number {actual}")


def check_reducing(case: Case) -> Breach | None:
    """In a REDUCING account, refuse what does not make the position smaller, open orders counted.

    Lots: at most the position less the open orders that already close it.
    """
    if case.control != REDUCING:
        return None
    risk, quantity = case.risk, case.request.quantity_lots
    if case.request.side == BUY:
        limit = max(0, -risk.position_lots - risk.reserved_buy_lots)
    else:
        limit = max(0, risk.position_lots - risk.reserved_sell_lots)
    if quantity <= limit:
        return None
    detail = (
        f"the account is REDUCING, position {risk.position_lots}, open {risk.reserved_buy_lots} to "
        f"buy and {risk.reserved_sell_lots} to sell: {case.request.side} {quantity} lots"
    )
    return Breach("account_reducing", limit, quantity, detail)


def check_position(case: Case) -> Breach | None:
    """Refuse a position above the instrument's limit, open orders counted; lots."""
    limit, actual = case.instrument_limits.max_position_lots, case.side_lots
    if actual <= limit:
        return None
    detail = (
        f"position {case.risk.position_lots}, open {case.risk.reserved_buy_lots} to buy and "
        f"{case.risk.reserved_sell_lots} to sell, {case.request.side} "
        f"{case.request.quantity_lots} lots more"
    )
    return Breach("max_position", limit, actual, detail)


def check_position_notional(case: Case) -> Breach | None:
    """Refuse a position worth too much, open orders counted; quote currency times 10^8."""
    limit = case.limits.position_notional_max_e8
    actual = notional_e8(case.instrument, case.worst_price_ticks, max(0, case.side_lots))
    if actual <= limit:
        return None
    detail = f"a position of {case.side_lots} lots worth {_money(actual)}"
    return Breach("max_position_notional", limit, actual, detail)


def check_gross_notional(case: Case) -> Breach | None:
    """Refuse a gross exposure above the account's limit; quote currency times 10^8.

    An order that leaves the instrument's largest possible position as it is adds nothing.
    """
    limit = case.limits.gross_notional_max_e8
    before = lots_at_most(case.risk)
    after = max(before, case.side_lots)
    if after == before:
        return None
    value = notional_e8(case.instrument, case.worst_price_ticks, after)
    actual = case.head.gross_notional_e8 - case.risk.gross_notional_e8 + value
    if actual <= limit:
        return None
    return Breach("max_gross_notional", limit, actual, f"gross exposure of {_money(actual)}")


CHECKS: tuple[Check, ...] = (
    check_halted,
    check_tradable,
    check_quote_valid,
    check_book,
    check_quote_age,
    check_price_collar,
    check_quantity,
    check_notional,
    check_rate_instrument,
    check_rate_account,
    check_open_orders,
    check_reducing,
    check_position,
    check_position_notional,
    check_gross_notional,
)
"""After account_unknown, stream_strategies, stream_forgotten, duplicate_request, request_invalid
and instrument_unknown, which come before there is a case to look at."""


def _rate_breach(code: str, window: RateWindow, time_ns: int, limit: int) -> Breach | None:
    if not is_provable(window, time_ns):
        spans = ", ".join(f"{first} to {last}" for first, last in window.forgotten_ns)
        detail = f"the request's second is no longer known (forgotten: {spans} ns)"
        return Breach(code, limit, limit + 1, detail)
    actual = orders_around(window, time_ns) + 1
    if actual <= limit:
        return None
    return Breach(code, limit, actual, f"it would be order number {actual} within a second")


def _money(amount_e8: int) -> str:
    return f"{amount_e8 / E8:,.2f}"
