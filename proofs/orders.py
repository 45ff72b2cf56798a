"""At most one order a signal; events in turn; no fill too many, too late, lost or invented."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from proofs.rows import Row, Tables, rows_of, signal_of
from schemas import topics as t

END_STATES = frozenset({"FILLED", "CANCELED", "REJECTED"})


def doubled_orders(tables: Tables) -> Sequence[str]:
    """Return what a signal may cause only once and did more often: approval, order, sending."""
    approvals = rows_of(tables, t.ORDER_APPROVED.name)
    sent = [row for row in rows_of(tables, t.ORDER_EVENT.name) if row["state"] == "SENT"]
    orders = rows_of(tables, t.VENUE_ORDER.name)
    return [
        *_repeated("approvals of signal", (signal_of(row) for row in approvals)),
        *_repeated("order", (row["client_order_id"] for row in orders)),
        *_repeated("orders of approval", (row["approval_id"] for row in orders)),
        *_repeated("sendings of signal", (signal_of(row) for row in sent)),
    ]


def _repeated(what: str, names: Iterable[Any]) -> list[str]:
    return [f"{what} {name}: {n} times" for name, n in Counter(names).items() if n > 1]


def events_out_of_turn(tables: Tables) -> Sequence[str]:
    """Return the orders whose events do not count 1, 2, 3, … in the order of the log."""
    found = []
    for order, events in events_by_order(tables).items():
        numbers = [event["event_sequence"] for event in events]
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"order {order}: events {numbers}")
    return found


def overfilled_orders(tables: Tables) -> Sequence[str]:
    """Return the orders filled beyond their quantity, or whose fills are not what they sum to."""
    found = []
    for order, events in events_by_order(tables).items():
        filled = 0
        for event in unique_events(events):
            filled += event["fill_lots"]
            if not filled == event["filled_lots"] <= event["quantity_lots"]:
                found.append(
                    f"order {order}: {event['filled_lots']} of {event['quantity_lots']} lots "
                    f"filled, by fills of {filled}"
                )
                break
    return found


def events_after_end(tables: Tables) -> Sequence[str]:
    """Return the events of orders that had ended."""
    found = []
    for order, events in events_by_order(tables).items():
        ended = False
        for event in events:
            if ended:
                found.append(f"order {order}: {event['state']} after its end")
            ended |= event["state"] in END_STATES
    return found


def fills_lost_or_invented(tables: Tables) -> Sequence[str]:
    """Return the fills a venue reported that no event has, and those of events nobody reported.

    The same report twice is one fill.
    """
    reported = {
        (row["client_order_id"], row["report_sequence"]): row
        for row in rows_of(tables, t.VENUE_REPORT.name)
        if row["kind"] == "FILLED"
    }
    told = Counter(
        (order, row["quantity_lots"], row["price_ticks"], row["fee_e8"])
        for (order, _), row in reported.items()
    )
    booked = Counter(
        (order, event["fill_lots"], event["fill_price_ticks"], event["fill_fee_e8"])
        for order, events in events_by_order(tables).items()
        for event in unique_events(events)
        if event["fill_lots"]
    )
    return [f"fill {fill} reported, not booked" for fill in (told - booked).elements()] + [
        f"fill {fill} booked, not reported" for fill in (booked - told).elements()
    ]


def events_by_order(tables: Tables) -> dict[str, list[Row]]:
    """Return the events of each order, in the order of the log."""
    found: dict[str, list[Row]] = defaultdict(list)
    for event in rows_of(tables, t.ORDER_EVENT.name):
        found[event["client_order_id"]].append(event)
    return found


def unique_events(events: Sequence[Row]) -> list[Row]:
    """Return the first event of each number, by number."""
    first: dict[int, Row] = {}
    for event in events:
        first.setdefault(event["event_sequence"], event)
    return [first[number] for number in sorted(first)]
