"""Approve or reject order requests against an account's limits, counting what is still open."""

from agents.trading.checks import Breach, Case, judge
from agents.trading.controls import EVERY_ACCOUNT, TIGHTNESS, ControlState, obey
from agents.trading.exposure import (
    AccountRisk,
    EventRefusedError,
    reserve,
    revalue,
    settle,
)
from agents.trading.identity import approval_id_of, request_id_of
from agents.trading.limits import (
    RATE_HISTORY_ACCOUNT_MAX,
    RATE_HISTORY_INSTRUMENT_MAX,
    RiskLimits,
)
from agents.trading.outbox import Outbox
from agents.trading.pages import SectionCodec
from agents.trading.rates import add_order, forget_far
from agents.trading.records import (
    BUY,
    AccountControl,
    OrderApproved,
    OrderEvent,
    OrderRejected,
    OrderRequest,
    read_rows,
)
from headrace import Batch, ObjectTable, Output
from headrace.state.tables import ObjectState
from schemas import topics
from schemas.instruments import UnknownInstrumentError, instrument_of
from schemas.streams import stream_of

TABLE = ObjectTable(
    "check_risk.exposure_by_account.v2", SectionCodec[AccountRisk](lambda _: AccountRisk())
)
"""Of each account: 67 pages of at most 10 KB; an approval changes four of them."""

CONTROLS, REQUESTS, EVENTS = range(3)
"""The parts of a batch. Controls come first: a halt is obeyed before the requests beside it."""

INT64_MAX = 2**63 - 1


def check_risk(batch: Batch, state: ObjectState[AccountRisk], limits: RiskLimits) -> Output:
    """Return an approval or a rejection for each request; follow order events and controls.

    Reads:   account.control.v1, order.request.v1, order.event.v1, in this order.
    Writes:  order.approved.v1, order.rejected.v1.
    Counts:  `request_approved` and `request_rejected_*`, `event_*`, `control_*`: with the dead rows
             each sums to the records read of its topic.
    """
    controls, requests, events = batch.parts
    control_rows = read_rows(AccountControl, controls.records)
    request_rows = read_rows(OrderRequest, requests.records)
    event_rows = read_rows(OrderEvent, events.records)
    box = Outbox()
    order = zip(batch.order_parts.tolist(), batch.order_rows.tolist(), strict=True)
    for cause, (part, row) in enumerate(order):
        if part == CONTROLS:
            _control(control_rows[row], state, limits, box, row)
        elif part == REQUESTS:
            _judge_request(request_rows[row], state, limits, box, (row, cause))
        else:
            _follow_event(event_rows[row], state, box, row)
    return box.output()


def _judge_request(
    request: OrderRequest,
    state: ObjectState[AccountRisk],
    limits: RiskLimits,
    box: Outbox,
    position: tuple[int, int],
) -> None:
    row, cause = position
    expected = request_id_of(
        request.account,
        request.strategy,
        request.instrument,
        request.source,
        request.signal_sequence,
    )
    if request.request_id != expected:
        detail = f"expected {expected} of its signal, found {request.request_id}"
        box.bury(REQUESTS, row, "request_id_mismatch", detail)
        return
    breach, case = judge(
        request, state.read(request.account), limits, everyone=_control_of_everyone(state)
    )
    if case is not None:
        # Only now: an account without limits, or a name that means nothing, leaves no state.
        _remember(state.edit(request.account), case, breach)
    if breach is not None:
        box.emit(topics.ORDER_REJECTED, _rejection(request, breach), cause=cause)
        box.count(f"request_rejected_{breach.check}")
    elif case is not None:
        approved = _approve(state.edit(request.account), case)
        box.emit(topics.ORDER_APPROVED, approved, cause=cause)
        box.count("request_approved")


BEFORE_QUOTE_KNOWN = frozenset(
    {"account_halted", "instrument_not_tradable", "quote_invalid", "book_invalid", "quote_stale"}
)
"""Rejections whose quote says nothing of what a position is worth."""


def _remember(account: AccountRisk, case: Case, breach: Breach | None) -> None:
    """Keep the signal, so that it is judged once and for all, and the price it was seen at."""
    request = case.request
    stream = stream_of(request.source, request.instrument)
    account.signals.note(stream, request.strategy, request.signal_sequence, request.request_time_ns)
    if breach is not None and breach.check in BEFORE_QUOTE_KNOWN:
        return
    risk = account.edit_instrument(request.instrument)
    risk.mark_price_ticks = case.mark_price_ticks
    forget_far(risk.rate, request.request_time_ns)
    revalue(account, risk, case.instrument)


def _approve(account: AccountRisk, case: Case) -> OrderApproved:
    """Set the lots aside, count the order against the rates, and bind the approval to it."""
    request = case.request
    risk = reserve(account, request, case.instrument)
    add_order(risk.rate, request.request_time_ns, most=RATE_HISTORY_INSTRUMENT_MAX)
    head = account.head.edit()
    add_order(head.rate, request.request_time_ns, most=RATE_HISTORY_ACCOUNT_MAX)
    expire_time_ns = request.request_time_ns + case.limits.approval_ttl_ns
    pending = risk.reserved_buy_lots if request.side == BUY else risk.reserved_sell_lots
    return OrderApproved(
        approval_id=approval_id_of(request, expire_time_ns=expire_time_ns),
        request_id=request.request_id,
        account=request.account,
        strategy=request.strategy,
        instrument=request.instrument,
        source=request.source,
        signal_sequence=request.signal_sequence,
        side=request.side,
        quantity_lots=request.quantity_lots,
        limit_price_ticks=request.limit_price_ticks,
        bid_price_ticks=request.bid_price_ticks,
        ask_price_ticks=request.ask_price_ticks,
        quote_time_ns=request.quote_time_ns,
        request_time_ns=request.request_time_ns,
        expire_time_ns=expire_time_ns,
        position_lots=risk.position_lots,
        pending_lots=pending,
        gross_notional_e8=head.gross_notional_e8,
    )


def _rejection(request: OrderRequest, breach: Breach) -> OrderRejected:
    return OrderRejected(
        request_id=request.request_id,
        account=request.account,
        strategy=request.strategy,
        instrument=request.instrument,
        source=request.source,
        signal_sequence=request.signal_sequence,
        side=request.side,
        quantity_lots=request.quantity_lots,
        limit_price_ticks=request.limit_price_ticks,
        request_time_ns=request.request_time_ns,
        check=breach.check,
        limit=min(breach.limit, INT64_MAX),
        actual=max(-INT64_MAX, min(breach.actual, INT64_MAX)),
        detail=breach.detail,
    )


def _follow_event(
    event: OrderEvent, state: ObjectState[AccountRisk], box: Outbox, row: int
) -> None:
    account = state.read(event.account)
    if account is None or event.request_id not in account.reservations:
        box.count("event_finished")
        return
    try:
        instrument = instrument_of(event.instrument)
        box.count(settle(state.edit(event.account), event, instrument))
    except UnknownInstrumentError as error:
        box.bury(EVENTS, row, "instrument_unknown", str(error))
    except EventRefusedError as error:
        box.bury(EVENTS, row, error.cause, str(error))


def _control(
    control: AccountControl,
    state: ObjectState[AccountRisk],
    limits: RiskLimits,
    box: Outbox,
    row: int,
) -> None:
    """Apply an operator's word on one account, or on all of them."""
    everyone = control.account == EVERY_ACCOUNT
    known = everyone or limits.of_account(control.account) is not None
    if not known or control.state not in TIGHTNESS:
        detail = f"account {control.account!r} to {control.state!r}"
        box.bury(CONTROLS, row, "control_unknown", detail)
        return
    applied = obey(state.edit(control.account).control, control)
    box.count("control_applied" if applied else "control_stale")


def _control_of_everyone(state: ObjectState[AccountRisk]) -> ControlState:
    """Return the word on all accounts; it is kept beside the accounts of each partition."""
    everyone = state.read(EVERY_ACCOUNT)
    return ControlState() if everyone is None else everyone.control.read()
