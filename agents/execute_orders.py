"""Send each approved order exactly once and follow it by the venue's reports."""

from agents.trading.account_orders import AccountOrders, refusal_of
from agents.trading.controls import EVERY_ACCOUNT, TIGHTNESS, ControlState, obey
from agents.trading.holdings import Holding, add_fill, position_of
from agents.trading.identity import approval_id_of, client_order_id_of
from agents.trading.order_state import FILLED, REJECTED, Order, advance, order_of, receive
from agents.trading.outbox import Outbox
from agents.trading.pages import SectionCodec
from agents.trading.records import (
    AccountControl,
    OrderApproved,
    OrderEvent,
    VenueOrder,
    VenueReport,
    read_rows,
)
from agents.trading.signals import Standing
from headrace import Batch, ObjectTable, Output
from headrace.state.tables import ObjectState
from schemas import topics
from schemas.instruments import UnknownInstrumentError, instrument_of
from schemas.streams import stream_of

CONTROLS, APPROVALS, REPORTS = range(3)
"""The parts of a batch. Controls come first: a halt is obeyed before the approvals beside it."""

TABLE = ObjectTable(
    "execute_orders.order_by_account.v2", SectionCodec[AccountOrders](lambda _: AccountOrders())
)
"""Of each account: 82 pages of at most 15 KB; a report changes two or three of them."""


def execute_orders(batch: Batch, state: ObjectState[AccountOrders]) -> Output:
    """Return the orders to send, what happened to orders, and the positions that changed.

    Reads:   account.control.v1, order.approved.v1, venue.report.v1, in this order.
    Writes:  venue.order.v1, order.event.v1, position.v1.
    Counts:  `control_*`, `approval_*` and `report_*`: with the dead rows each sums to the records
             read of its topic. `held_*` are reports counted as `report_held` when they came.
    """
    controls, approvals, reports = batch.parts
    control_rows = read_rows(AccountControl, controls.records)
    approval_rows = read_rows(OrderApproved, approvals.records)
    report_rows = read_rows(VenueReport, reports.records)
    box = Outbox()
    order = zip(batch.order_parts.tolist(), batch.order_rows.tolist(), strict=True)
    for cause, (part, row) in enumerate(order):
        if part == CONTROLS:
            _control(control_rows[row], state, box, row)
        elif part == APPROVALS:
            _execute(approval_rows[row], state, box, (row, cause))
        else:
            _follow(report_rows[row], state, box, (row, cause))
    return box.output()


def _control(
    control: AccountControl, state: ObjectState[AccountOrders], box: Outbox, row: int
) -> None:
    """Apply an operator's word on one account, or on all of them."""
    if control.state not in TIGHTNESS:
        detail = f"account {control.account!r} to {control.state!r}"
        box.bury(CONTROLS, row, "control_unknown", detail)
        return
    applied = obey(state.edit(control.account).control, control)
    box.count("control_applied" if applied else "control_stale")


def _control_of_everyone(state: ObjectState[AccountOrders]) -> ControlState:
    """Return the word on all accounts; it is kept beside the accounts of each partition."""
    everyone = state.read(EVERY_ACCOUNT)
    return ControlState() if everyone is None else everyone.control.read()


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
        box.bury(APPROVALS, row, "approval_content_mismatch", detail)
        return
    try:
        instrument_of(approved.instrument)
    except UnknownInstrumentError as error:
        box.bury(APPROVALS, row, "instrument_unknown", str(error))
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
    reason = refusal_of(approved, standing, account, everyone=_control_of_everyone(state))
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
        box.bury(REPORTS, row, receipt.outcome, f"order {order.client_order_id}: {receipt.refusal}")
    else:
        box.count(receipt.outcome)
    for due in receipt.due:
        if order.ended:
            _absorb(due, box)
        else:
            box.count("held_applied", int(due is not report))
            _apply(due, order, account, box, cause)
    if order.ended:
        for held in order.held.values():
            _absorb(held, box)
        account.orders.remove(order.client_order_id)
        account.finished.add(order.client_order_id, order.report_sequence)


def _absorb(held: VenueReport | None, box: Outbox) -> None:
    """Count a report that waited while its order ended; None was refused when it came.

    A fill among them changes nothing, but money may have moved at the venue: a person must look.
    """
    if held is not None:
        box.count("held_fill_after_end" if held.kind == FILLED else "held_absorbed")


def _report_of_no_open_order(
    report: VenueReport, account: AccountOrders | None, box: Outbox, row: int
) -> None:
    last = None if account is None else account.finished.read(report.client_order_id)
    if last is None:
        detail = f"no order {report.client_order_id} of account {report.account}"
        box.bury(REPORTS, row, "unknown_order", detail)
    elif report.report_sequence <= last:
        box.count("report_duplicate")
    elif report.kind == FILLED:
        # Nothing is changed by it, but money may have moved at the venue: a person must look.
        detail = f"order {report.client_order_id} ended with report {last}: fill after its end"
        box.bury(REPORTS, row, "fill_after_end", detail)
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
