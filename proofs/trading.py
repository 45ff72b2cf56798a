"""What must hold of the trading graph, and the market it is proven on."""

from functools import partial

from agents.trading.limits import RiskLimits
from headrace import Drill, Invariant, Proof
from proofs import approvals, halts, orders, positions
from schemas import topics as t

INSTRUMENTS = 8
EVENTS_PER_S = 80
"""Of each instrument: enough that some are in flight whenever a worker dies."""

START_NS = 1_700_000_000_000_000_000
"""The market's opening: written down, so that every run of the feed is the same."""


def market_of(duration_s: float) -> str:
    """Return the simulated market that lasts so long."""
    events = int(INSTRUMENTS * EVENTS_PER_S * duration_s)
    return f"sim:{INSTRUMENTS}?seed=11&start={START_NS}&rate={EVENTS_PER_S}&events={max(1, events)}"


def trading_proof(limits: RiskLimits) -> Proof:
    """Return what holds under these limits."""
    return Proof(
        feed=market_of,
        repeatable=(t.VENUE_REPORT,),
        drill=Drill(say="halt", take_back="resume"),
        invariants=(
            Invariant(
                "order without approval",
                (t.ORDER_REQUEST, t.ORDER_APPROVED, t.VENUE_ORDER),
                approvals.unbound_orders,
            ),
            Invariant(
                "approval expired",
                (t.ORDER_APPROVED, t.ORDER_EVENT),
                approvals.expired_approvals,
            ),
            Invariant(
                "request not answered once",
                (t.ORDER_REQUEST, t.ORDER_APPROVED, t.ORDER_REJECTED),
                approvals.requests_not_answered_once,
            ),
            Invariant(
                "order doubled",
                (t.ORDER_APPROVED, t.VENUE_ORDER, t.ORDER_EVENT),
                orders.doubled_orders,
            ),
            Invariant("event out of turn", (t.ORDER_EVENT,), orders.events_out_of_turn),
            Invariant("order overfilled", (t.ORDER_EVENT,), orders.overfilled_orders),
            Invariant("event after the end", (t.ORDER_EVENT,), orders.events_after_end),
            Invariant(
                "fill lost or invented",
                (t.VENUE_REPORT, t.ORDER_EVENT),
                orders.fills_lost_or_invented,
            ),
            Invariant(
                "position differs from fills",
                (t.ORDER_EVENT, t.POSITION),
                positions.positions_against_fills,
            ),
            Invariant(
                "limit exceeded",
                (t.ORDER_APPROVED, t.ORDER_EVENT),
                partial(positions.limits_exceeded, limits=limits),
            ),
            Invariant(
                "reservation differs from orders",
                (t.ORDER_APPROVED, t.ORDER_EVENT),
                positions.unreconciled_reservations,
            ),
            Invariant(
                "order while halted",
                (t.ACCOUNT_CONTROL, t.ORDER_EVENT),
                halts.orders_while_halted,
            ),
            Invariant(
                "action on a stale or gapped book",
                (t.ORDER_REQUEST, t.ORDER_APPROVED),
                partial(approvals.unsound_actions, limits=limits),
            ),
        ),
    )
