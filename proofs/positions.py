"""Positions are the sum of unique fills, and with what is reserved never above their limits."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.trading.amounts import divide, notional_e8
from agents.trading.limits import RiskLimits
from proofs.orders import END_STATES, events_by_order, unique_events
from proofs.rows import Row, Tables, rows_of
from schemas import topics as t
from schemas.instruments import instrument_of

Held = tuple[str, str]
"""Account and instrument."""

FIGURES = ("quantity_lots", "cash_e8", "fees_e8", "fill_count")


def positions_against_fills(tables: Tables) -> Sequence[str]:
    """Return the positions whose last record is not what the unique fills come to."""
    due: dict[Held, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for events in events_by_order(tables).values():
        for event in unique_events(events):
            if event["fill_lots"]:
                figures = due[event["account"], event["instrument"]]
                figures[0] += _signed(event["side"], event["fill_lots"])
                figures[1] += event["cash_delta_e8"]
                figures[2] += event["fill_fee_e8"]
                figures[3] += 1
    last: dict[Held, list[int]] = {}
    for row in rows_of(tables, t.POSITION.name):
        last[row["account"], row["instrument"]] = [row[name] for name in FIGURES]
    return [
        f"{'/'.join(held)}: {FIGURES} of the fills {due.get(held)}, of the position "
        f"{last.get(held)}"
        for held in sorted(due.keys() | last.keys())
        if due.get(held) != last.get(held)
    ]


def _signed(side: str, lots: int) -> int:
    return lots if side == "BUY" else -lots


def limits_exceeded(tables: Tables, limits: RiskLimits) -> Sequence[str]:
    """Return where filled + reserved was above a limit: at an approval, or at any event's place.

    At an approval by its own figures, in lots and in money; at an event by the orders open then.
    """
    return [
        *_approved_beyond(rows_of(tables, t.ORDER_APPROVED.name), limits),
        *_held_beyond(rows_of(tables, t.ORDER_EVENT.name), limits),
    ]


def _approved_beyond(approvals: Sequence[Row], limits: RiskLimits) -> list[str]:
    found = []
    for row in approvals:
        account = limits.of_account(row["account"])
        if account is None:
            found.append(f"approval {row['approval_id']}: account {row['account']} has no limits")
            continue
        instrument = instrument_of(row["instrument"])
        side_lots = row["pending_lots"] + _signed(row["side"], row["position_lots"])
        mid = divide(row["bid_price_ticks"] + row["ask_price_ticks"], 2, up=True)
        price = max(row["limit_price_ticks"], mid)
        bounds = (
            ("lots", side_lots, account.of_instrument(instrument).max_position_lots),
            (
                "position notional",
                notional_e8(instrument, price, max(0, side_lots)),
                account.position_notional_max_e8,
            ),
            (
                "order notional",
                notional_e8(instrument, price, row["quantity_lots"]),
                account.order_notional_max_e8,
            ),
        )
        found += [
            f"approval {row['approval_id']}: {what} {actual}, limit {most}"
            for what, actual, most in bounds
            if actual > most
        ]
    return found


@dataclass(slots=True)
class _Book:
    """What an account has filled and open of one instrument."""

    position_lots: int = 0
    open_lots: dict[str, dict[str, int]] = field(default_factory=lambda: {"BUY": {}, "SELL": {}})

    def apply(self, event: Row) -> None:
        orders = self.open_lots[event["side"]]
        self.position_lots += _signed(event["side"], event["fill_lots"])
        if event["state"] in END_STATES:
            orders.pop(event["client_order_id"], None)
        else:
            left = event["quantity_lots"] - event["filled_lots"]
            orders[event["client_order_id"]] = left

    @property
    def lots_at_most(self) -> int:
        buys, sells = (sum(self.open_lots[side].values()) for side in ("BUY", "SELL"))
        return max(self.position_lots + buys, sells - self.position_lots)


def _held_beyond(events: Sequence[Row], limits: RiskLimits) -> list[str]:
    books: dict[Held, _Book] = defaultdict(_Book)
    found = []
    for event in events:
        account = limits.of_account(event["account"])
        if account is None:
            found.append(f"order {event['client_order_id']}: account without limits")
            continue
        book = books[event["account"], event["instrument"]]
        book.apply(event)
        most = account.of_instrument(instrument_of(event["instrument"])).max_position_lots
        if book.lots_at_most > most:
            found.append(
                f"order {event['client_order_id']}: {book.lots_at_most} lots filled and open of "
                f"{event['instrument']}, limit {most}"
            )
    return found


def unreconciled_reservations(tables: Tables) -> Sequence[str]:
    """Return the approvals whose position and reservation no prefix of the events explains.

    Risk reads the events at its own pace, so an approval may know more or fewer of them, but never
    fewer than an approval before it: for each there is a place in the log of events, not before
    the last one's, at which fills and open approvals are what the approval says.
    """
    events: dict[Held, list[Row]] = defaultdict(list)
    for event in rows_of(tables, t.ORDER_EVENT.name):
        events[event["account"], event["instrument"]].append(event)
    approvals: dict[Held, list[Row]] = defaultdict(list)
    for row in rows_of(tables, t.ORDER_APPROVED.name):
        approvals[row["account"], row["instrument"]].append(row)
    return [text for held, rows in approvals.items() for text in _unreconciled(rows, events[held])]


def _unreconciled(approvals: Sequence[Row], events: Sequence[Row]) -> list[str]:
    reserved: dict[str, Row] = {}
    filled: dict[str, int] = {}
    position_lots = place = 0
    for approval in approvals:
        reserved[approval["request_id"]] = approval
        wanted = (approval["position_lots"], approval["pending_lots"])
        while (position_lots, _pending(reserved, filled, approval["side"])) != wanted:
            if place == len(events):
                return [f"approval {approval['approval_id']}: {wanted} at no place of the events"]
            event = events[place]
            place += 1
            request_id = event["request_id"]
            if request_id in reserved:
                grown = max(0, event["filled_lots"] - filled.get(request_id, 0))
                position_lots += _signed(event["side"], grown)
                filled[request_id] = filled.get(request_id, 0) + grown
                if event["state"] in END_STATES:
                    del reserved[request_id]
    return []


def _pending(reserved: dict[str, Row], filled: dict[str, int], side: str) -> int:
    return sum(
        row["quantity_lots"] - filled.get(request_id, 0)
        for request_id, row in reserved.items()
        if row["side"] == side
    )
