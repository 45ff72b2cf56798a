"""No order without an unexpired approval bound to its content; every request answered once."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from agents.trading.identity import approval_id_of
from agents.trading.limits import RiskLimits
from agents.trading.records import OrderApproved, read_rows
from proofs.rows import CONTENT, Row, Tables, rows_of, shared_values
from schemas import topics as t

ORDERED = ("account", "instrument", "side", "quantity_lots", "limit_price_ticks")


def unbound_orders(tables: Tables) -> Sequence[str]:
    """Return the orders whose approval, or whose approval's request, says something else."""
    requests = {row["request_id"]: row for row in rows_of(tables, t.ORDER_REQUEST.name)}
    approvals = {row["approval_id"]: row for row in rows_of(tables, t.ORDER_APPROVED.name)}
    forged = _forged(tables[t.ORDER_APPROVED.name])
    found = []
    for order in rows_of(tables, t.VENUE_ORDER.name):
        approval = approvals.get(order["approval_id"])
        problem = _problem(order, approval, requests)
        if approval is not None and approval["approval_id"] in forged:
            problem = "the approval's id is not that of its content"
        if problem:
            found.append(f"order {order['client_order_id']}: {problem}")
    return found


def _problem(order: Row, approval: Row | None, requests: dict[str, Row]) -> str:
    if approval is None:
        return f"no approval {order['approval_id']}"
    request = requests.get(approval["request_id"])
    if request is None:
        return f"no request {approval['request_id']}"
    ordered, approved = shared_values(ORDERED, order, approval)
    if ordered != approved:
        return f"sent {ordered}, approved {approved}"
    approved, requested = shared_values(CONTENT, approval, request)
    if approved != requested:
        return f"approved {approved}, requested {requested}"
    return ""


def _forged(table: pa.Table) -> set[str]:
    """Return the ids that are not those of the content they stand for."""
    batch = table.combine_chunks().to_batches()
    rows = [row for part in batch for row in read_rows(OrderApproved, part)]
    return {
        row.approval_id
        for row in rows
        if row.approval_id != approval_id_of(row, expire_time_ns=row.expire_time_ns)
    }


def expired_approvals(tables: Tables) -> Sequence[str]:
    """Return the orders sent when their instrument's clock had passed the approval's expiry.

    The clock is the latest time in the events of the instrument so far: what the executor knew.
    """
    expiry = {
        row["approval_id"]: row["expire_time_ns"] for row in rows_of(tables, t.ORDER_APPROVED.name)
    }
    clocks: dict[tuple[str, str], int] = {}
    found = []
    for event in rows_of(tables, t.ORDER_EVENT.name):
        key = (event["account"], event["instrument"])
        if event["state"] == "SENT" and clocks.get(key, 0) > expiry.get(event["approval_id"], 0):
            late_ns = clocks[key] - expiry.get(event["approval_id"], 0)
            found.append(f"order {event['client_order_id']}: sent {late_ns} ns after the expiry")
        clocks[key] = max(clocks.get(key, 0), event["event_time_ns"])
    return found


def requests_not_answered_once(tables: Tables) -> Sequence[str]:
    """Return the requests with no answer or several, and the answers to none."""
    requests = {row["request_id"] for row in rows_of(tables, t.ORDER_REQUEST.name)}
    answers = Counter(
        row["request_id"]
        for topic in (t.ORDER_APPROVED, t.ORDER_REJECTED)
        for row in rows_of(tables, topic.name)
    )
    wrong = [name for name in sorted(requests | answers.keys()) if answers[name] != 1]
    return [f"request {name}: {answers[name]} answers" for name in wrong] + [
        f"answer to {name}: no such request" for name in sorted(answers.keys() - requests)
    ]


def unsound_actions(tables: Tables, limits: RiskLimits) -> Sequence[str]:
    """Return the approvals given on a quote too old, crossed or not yet received, or a gapped book.

    A request that is marked as unfit to act on must not be approved.
    """
    requests = {row["request_id"]: row for row in rows_of(tables, t.ORDER_REQUEST.name)}
    found = []
    for row in rows_of(tables, t.ORDER_APPROVED.name):
        account = limits.of_account(row["account"])
        request = requests.get(row["request_id"], {})
        age_ns = row["request_time_ns"] - row["quote_time_ns"]
        is_fit = request.get("quote_valid", False) and request.get("book_valid", False)
        is_sound = is_fit and 0 < row["bid_price_ticks"] <= row["ask_price_ticks"]
        if account is None or not 0 <= age_ns <= account.quote_age_max_ns or not is_sound:
            found.append(
                f"approval {row['approval_id']}: on a quote {age_ns} ns old, fit: {is_fit}"
            )
    return found
