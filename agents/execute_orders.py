"""Send each approved order exactly once and follow it by the venue's reports."""

from agents.trading.holdings import Holding, add_fill, position_of
from agents.trading.identity import approval_id_of, client_order_id_of
from agents.trading.limits import OPEN_ORDERS_MAX
from agents.trading.order_state import FILLED, REJECTED, Order, advance, order_of, receive
from agents.trading.outbox import Outbox
from agents.trading.pages import PagedMap, RecentMap, Section, SectionCodec
from agents.trading.records import (
    OrderApproved,
    OrderEvent,
    VenueOrder,
    VenueReport,
    read_rows,
)
from agents.trading.signals import SignalLog, Standing
from headrace import Batch, ObjectTable, Output
from headrace.state.tables import ObjectState
from schemas import topics
from schemas.instruments import UnknownInstrumentError, instrument_of
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
        self.signals = SignalLog()
        self.holdings = PagedMap(Holding, HOLDING_PAGES)
        self.orders = PagedMap(Order, ORDER_PAGES)
        self.finished = RecentMap(int, page_count=FINISHED_PAGES, page_keys=FINISHED_PAGE_KEYS)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the sections, in the order of their pages."""
        return (*self.signals.sections, self.holdings, self.orders, self.finished)


TABLE = ObjectTable(
    "execute_orders.order_by_account.v2", SectionCodec[AccountOrders](lambda _: AccountOrders())
)
"""Of each account: 81 pages of at most 15 KB; a report changes two or three of them."""


def execute_orders(batch: Batch, state: ObjectState[AccountOrders]) -> Output:
    """Return the orders to send, what happened to orders, and the positions that changed.

    Reads:   order.approved.v1, venue.report.v1, in this order.
    Writes:  venue.order.v1, order.event.v1, position.v1.
    Counts:  `approval_*` and `report_*`: with the dead rows each sums to the records read of its
             topic. `held_*` are reports that were counted as `report_held` when they came.
    """
    approvals, reports = batch.parts
    approval_rows = read_rows(OrderApproved, approvals.records)
    report_rows = read_rows(VenueReport, reports.records)
    box = Outbox()
    order = zip(batch.order_parts.tolist(), batch.order_rows.tolist(), strict=True)
    for cause, (part, row) in enumerate(order):
        if part == 0:
            _execute(approval_rows[row], state, box, (row, cause))
        else:
            _follow(report_rows[row], state, box, (row, cause))
    return box.output()


def _execute(
    approved: OrderApproved,
    state: ObjectState[AccountOrders],
    box: Outbox,
    position: tuple[int, int],
) -> None:
    """Send the order of an approval that is whole, new, and not expired."""
    row, cause = position
    expected = approval_id_of(approved, expire_time_ns=approved.expire_time_ns)
    if approved.approval_id != expected:
        detail = f"expected {expected} of its content, found {approved.approval_id}"
        box.bury(0, row, "approval_content_mismatch", detail)
        return
    try:
        instrument_of(approved.instrument)
    except UnknownInstrumentError as error:
        box.bury(0, row, "instrument_unknown", str(error))
        return
    account = state.edit(approved.account)
    stream = stream_of(approved.source, approved.instrument)
    signal = (stream, approved.strategy, approved.signal_sequence, approved.request_time_ns)
    standing = account.signals.judge(*signal)
    identity = client_order_id_of(
        approved.account,
        approved.strategy,
        approved.instrument,
        approved.source,
        approved.signal_sequence,
    )
    known = identity in account.orders or identity in account.finished
    if standing is Standing.REPEATED or known:
        box.count("approval_duplicate")
        return
    order = order_of(approved, identity)
    reason = _STANDING_REASONS.get(standing) or _refusal(approved, account)
    if standing is Standing.NEW:
        account.signals.note(*signal)
    if reason:
        order.state = REJECTED
        account.finished.add(identity, 0)
        box.count(f"approval_rejected_{reason}")
    else:
        account.orders.put(identity, order)
        box.emit(topics.VENUE_ORDER, _venue_order(approved, identity), cause=cause)
        box.count("approval_sent")
    event = _event(order, reason=reason, time_ns=approved.request_time_ns)
    box.emit(topics.ORDER_EVENT, event, cause=cause)


_STANDING_REASONS = {
    Standing.FORGOTTEN: "stream_forgotten",
    Standing.CROWDED: "stream_strategies_limit",
}


def _refusal(approved: OrderApproved, account: AccountOrders) -> str:
    """Return why an approval may not be used, or an empty string."""
    clock_ns = account.signals.clock_ns(stream_of(approved.source, approved.instrument))
    if clock_ns > approved.expire_time_ns:
        return "approval_expired"
    if len(account.orders) >= OPEN_ORDERS_MAX:
        return "open_orders_limit"
    return ""


def _follow(
    report: VenueReport,
    state: ObjectState[AccountOrders],
    box: Outbox,
    position: tuple[int, int],
) -> None:
    """Take a report in its place and apply whatever is due with it."""
    row, cause = position
    account = state.read(report.account)
    order = None if account is None else account.orders.edit(report.client_order_id)
    if account is None or order is None:
        _report_of_no_open_order(report, account, box, row)
        return
    account = state.edit(report.account)
    receipt = receive(order, report)
    if receipt.refusal:
        box.bury(1, row, receipt.outcome, f"order {order.client_order_id}: {receipt.refusal}")
    else:
        box.count(receipt.outcome)
    for due in receipt.due:
        if due is not report:
            box.count("held_absorbed" if order.ended else "held_applied")
        if not order.ended:
            _apply(due, order, account, box, cause)
    if order.ended:
        box.count("held_absorbed", len(order.held))
        account.orders.remove(order.client_order_id)
        account.finished.add(order.client_order_id, order.report_sequence)


def _report_of_no_open_order(
    report: VenueReport, account: AccountOrders | None, box: Outbox, row: int
) -> None:
    last = None if account is None else account.finished.read(report.client_order_id)
    if last is None:
        detail = f"no order {report.client_order_id} of account {report.account}"
        box.bury(1, row, "unknown_order", detail)
    elif report.report_sequence <= last:
        box.count("report_duplicate")
    elif report.kind == FILLED:
        # Nothing is changed by it, but money may have moved at the venue: a person must look.
        detail = f"order {report.client_order_id} ended with report {last}: fill after its end"
        box.bury(1, row, "fill_after_end", detail)
    else:
        box.count("report_after_end")


def _apply(
    report: VenueReport, order: Order, account: AccountOrders, box: Outbox, cause: int
) -> None:
    """Move the order by a report and say so; a fill moves the holding too."""
    account.signals.advance(stream_of(order.source, order.instrument), report.venue_time_ns)
    if not advance(order, report):
        box.count("unchanged_by_report")
        return
    if report.kind != FILLED:
        event = _event(order, reason=report.reason, time_ns=report.venue_time_ns)
        box.emit(topics.ORDER_EVENT, event, cause=cause)
        return
    instrument = instrument_of(order.instrument)
    holding = account.holdings.edit_or_add(order.instrument, Holding)
    delta = add_fill(holding, instrument, report)
    event = _event(order, reason="", time_ns=report.venue_time_ns, fill=report, cash_delta_e8=delta)
    box.emit(topics.ORDER_EVENT, event, cause=cause)
    box.emit(topics.POSITION, position_of(holding, instrument, order.account), cause=cause)


def _venue_order(approved: OrderApproved, client_order_id: str) -> VenueOrder:
    return VenueOrder(
        client_order_id=client_order_id,
        approval_id=approved.approval_id,
        account=approved.account,
        instrument=approved.instrument,
        source=approved.source,
        side=approved.side,
        quantity_lots=approved.quantity_lots,
        limit_price_ticks=approved.limit_price_ticks,
        send_time_ns=approved.request_time_ns,
    )


def _event(
    order: Order,
    *,
    reason: str,
    time_ns: int,
    fill: VenueReport | None = None,
    cash_delta_e8: int = 0,
) -> OrderEvent:
    return OrderEvent(
        client_order_id=order.client_order_id,
        event_sequence=order.event_sequence,
        account=order.account,
        strategy=order.strategy,
        instrument=order.instrument,
        source=order.source,
        approval_id=order.approval_id,
        request_id=order.request_id,
        signal_sequence=order.signal_sequence,
        side=order.side,
        state=order.state,
        quantity_lots=order.quantity_lots,
        filled_lots=order.filled_lots,
        fill_lots=fill.quantity_lots if fill else 0,
        fill_price_ticks=fill.price_ticks if fill else 0,
        fill_fee_e8=fill.fee_e8 if fill else 0,
        cash_delta_e8=cash_delta_e8,
        reason=reason,
        event_time_ns=time_ns,
    )
