"""What execution remembers of an account, and whether an approval may be used against it."""

from agents.trading.controls import HALTED, REDUCING, ControlState, tighter
from agents.trading.holdings import Holding
from agents.trading.limits import OPEN_ORDERS_MAX
from agents.trading.order_state import Order
from agents.trading.pages import Box, PagedMap, RecentMap, Section
from agents.trading.records import BUY, OrderApproved
from agents.trading.signals import SignalLog, Standing
from schemas.streams import stream_of

HOLDING_PAGES = 16
ORDER_PAGES = 32
FINISHED_PAGES = 16
FINISHED_PAGE_KEYS = 64
"""1,024 finished orders: so long a late report is told from one of an order that never was. Which
signals were acted on is kept apart (`agents/trading/signals.py`)."""


class AccountOrders:
    """An account's open orders, holdings, and what it takes to do nothing twice."""

    def __init__(self) -> None:
        self.control = Box(ControlState, ControlState())
        self.signals = SignalLog()
        self.holdings = PagedMap(Holding, HOLDING_PAGES)
        self.orders = PagedMap(Order, ORDER_PAGES)
        self.finished = RecentMap(int, page_count=FINISHED_PAGES, page_keys=FINISHED_PAGE_KEYS)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the sections, in the order of their pages."""
        return (self.control, *self.signals.sections, self.holdings, self.orders, self.finished)


STANDING_REASONS = {
    Standing.FORGOTTEN: "stream_forgotten",
    Standing.CROWDED: "stream_strategies_limit",
}


def refusal_of(
    approved: OrderApproved, standing: Standing, account: AccountOrders, *, everyone: ControlState
) -> str:
    """Return why an approval that is whole and not repeated may not be used, or an empty string.

    `everyone` is the control of all accounts. An approval has expired once a record of its own
    stream is known from after its end: a request that was approved, or a report of an order.
    """
    if standing in STANDING_REASONS:
        return STANDING_REASONS[standing]
    control = tighter(account.control.read(), everyone)
    if control == HALTED:
        return "account_halted"
    clock_ns = account.signals.clock_ns(stream_of(approved.source, approved.instrument))
    if clock_ns > approved.expire_time_ns:
        return "approval_expired"
    if control == REDUCING and approved.quantity_lots > _closable_lots(approved, account):
        return "account_reducing"
    return "open_orders_limit" if len(account.orders) >= OPEN_ORDERS_MAX else ""


def _closable_lots(approved: OrderApproved, account: AccountOrders) -> int:
    """Return how much of the position no open order closes yet, on the side of an approval."""
    holding = account.holdings.read(approved.instrument)
    position_lots = 0 if holding is None else holding.quantity_lots
    closing_lots = sum(
        order.quantity_lots - order.filled_lots
        for _, order in account.orders.items()
        if (order.instrument, order.side) == (approved.instrument, approved.side)
    )
    held_lots = -position_lots if approved.side == BUY else position_lots
    return max(0, held_lots - closing_lots)
