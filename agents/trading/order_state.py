"""The life of an order: which report takes it where; end states absorb (drawn in docs/risk.md)."""

from typing import NamedTuple

import msgspec

from agents.trading.records import OrderApproved, VenueReport

SENT = "SENT"
ACKNOWLEDGED = "ACKNOWLEDGED"
PARTIALLY_FILLED = "PARTIALLY_FILLED"
FILLED = "FILLED"
CANCELED = "CANCELED"
REJECTED = "REJECTED"

END_STATES = frozenset({FILLED, CANCELED, REJECTED})
REPORT_KINDS = frozenset({ACKNOWLEDGED, FILLED, CANCELED, REJECTED})

HELD_REPORTS_MAX = 64
"""Reports of an order kept while an earlier one is missing: the paper venue sends three."""


class Order(msgspec.Struct, array_like=True):
    """An order that was sent: what was approved, where it is, and the reports that came too early.

    `report_sequence` is the last report taken in order; `held` has later ones by their sequence,
    None for one that was refused but whose place in the sequence is used up.
    """

    client_order_id: str
    approval_id: str
    request_id: str
    account: str
    strategy: str
    instrument: str
    source: str
    signal_sequence: int
    side: str
    quantity_lots: int
    limit_price_ticks: int
    state: str = SENT
    filled_lots: int = 0
    event_sequence: int = 1
    report_sequence: int = 0
    held: dict[int, VenueReport | None] = msgspec.field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Say whether the order is in a state that absorbs."""
        return self.state in END_STATES


class Receipt(NamedTuple):
    """What became of a report: its outcome, the reports now due, and why it was refused if it was.

    `outcome` is `report_applied`, `report_duplicate`, `report_held` or, if refused, the cause.
    """

    outcome: str
    due: tuple[VenueReport, ...] = ()
    refusal: str = ""


def order_of(approved: OrderApproved, client_order_id: str) -> Order:
    """Return the order that an approval allows, as sent."""
    return Order(
        client_order_id=client_order_id,
        approval_id=approved.approval_id,
        request_id=approved.request_id,
        account=approved.account,
        strategy=approved.strategy,
        instrument=approved.instrument,
        source=approved.source,
        signal_sequence=approved.signal_sequence,
        side=approved.side,
        quantity_lots=approved.quantity_lots,
        limit_price_ticks=approved.limit_price_ticks,
    )


def receive(order: Order, report: VenueReport) -> Receipt:
    """Take a report in its place in the sequence: apply it now, hold it, or refuse it.

    Fills only add up. So if those applied, those held and this one exceed the order, it is an
    overfill in whatever order they come, and it is refused here rather than found out later.
    """
    sequence = report.report_sequence
    fault = _fault(order, report)
    if fault:
        return Receipt("report_invalid", refusal=fault)
    if sequence <= order.report_sequence or sequence in order.held:
        return Receipt("report_duplicate")
    if len(order.held) >= HELD_REPORTS_MAX and sequence != order.report_sequence + 1:
        return Receipt("report_held_limit", refusal=f"{HELD_REPORTS_MAX} reports wait already")
    if report.kind == FILLED:
        held = sum(each.quantity_lots for each in order.held.values() if _is_fill(each) and each)
        total = order.filled_lots + held + report.quantity_lots
        if total > order.quantity_lots:
            order.held[sequence] = None
            refusal = f"expected at most {order.quantity_lots} lots in all, found {total}"
            return Receipt("overfill", _take_due(order), refusal)
    order.held[sequence] = report
    due = _take_due(order)
    return Receipt("report_applied" if due else "report_held", due)


def advance(order: Order, report: VenueReport) -> bool:
    """Move an order that has not ended by a report that is due; say whether it changed.

    An acknowledgement after a fill says nothing new. An order that was filled in part can't be
    undone by a rejection: it counts as canceled.
    """
    if report.kind == ACKNOWLEDGED:
        if order.state != SENT:
            return False
        order.state = ACKNOWLEDGED
    elif report.kind == FILLED:
        order.filled_lots += report.quantity_lots
        order.state = FILLED if order.filled_lots == order.quantity_lots else PARTIALLY_FILLED
    elif report.kind == REJECTED and order.filled_lots == 0:
        order.state = REJECTED
    else:
        order.state = CANCELED
    order.event_sequence += 1
    return True


def _fault(order: Order, report: VenueReport) -> str:
    if (report.instrument, report.side) != (order.instrument, order.side):
        return f"expected {order.side} {order.instrument}, found {report.side} {report.instrument}"
    if report.kind not in REPORT_KINDS or report.report_sequence < 1:
        return f"expected a known kind from 1 on, found {report.kind} {report.report_sequence}"
    if report.kind == FILLED and min(report.quantity_lots, report.price_ticks) < 1:
        return (
            f"expected a fill of 1 lot or more at 1 tick or more, "
            f"found {report.quantity_lots} at {report.price_ticks}"
        )
    return ""


def _is_fill(report: VenueReport | None) -> bool:
    return report is not None and report.kind == FILLED


def _take_due(order: Order) -> tuple[VenueReport, ...]:
    due = []
    while order.report_sequence + 1 in order.held:
        order.report_sequence += 1
        report = order.held.pop(order.report_sequence)
        if report is not None:
            due.append(report)
    return tuple(due)
