"""The invariants of the trading graph: silent on a sound run, and none misses what it is for."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pyarrow as pa
import pytest

from agents.trading.identity import approval_id_of
from agents.trading.limits import AccountLimits, InstrumentLimits, RiskLimits
from agents.trading.records import OrderApproved
from headrace.avro.schema import load_schema
from headrace.topology import Topic
from proofs.trading import market_of, trading_proof
from schemas import topics as t
from tests.repository_files import ROOT

Rows = dict[str, list[dict[str, Any]]]

INSTRUMENT = "sim:SIM01"
LIMITS = RiskLimits(
    {"paper": AccountLimits(instruments={"sim": InstrumentLimits(max_position_lots=100)})}
)
PROOF = trading_proof(LIMITS)
CHECKS = {each.name: each for each in PROOF.invariants}
SECOND_NS = 1_000_000_000
SCHEMAS = ROOT / "schemas" / "avro"
TOPICS = (
    t.ORDER_REQUEST,
    t.ORDER_APPROVED,
    t.ORDER_REJECTED,
    t.VENUE_ORDER,
    t.VENUE_REPORT,
    t.ORDER_EVENT,
    t.POSITION,
    t.ACCOUNT_CONTROL,
)
LOG_COLUMNS = (pa.field("kafka_partition", pa.int32()), pa.field("kafka_time_ms", pa.int64()))


def filled(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a topic's schema; what is not given is empty or zero."""
    schema = load_schema(SCHEMAS, kind)
    empty = {"string": "", "int": 0, "long": 0, "double": 0.0, "boolean": True}
    return {
        field["name"]: values.get(
            field["name"], empty.get(field["type"] if isinstance(field["type"], str) else "string")
        )
        for field in schema.fields
    }


class Market:
    """Writes down what a sound run of some orders leaves behind."""

    def __init__(self) -> None:
        self.rows: Rows = {topic.name: [] for topic in TOPICS}
        self.position = self.cash = self.fees = self.fills = 0

    def add(self, topic: Topic, **values: Any) -> dict[str, Any]:
        row = filled(topic.schema, values) | {"kafka_time_ms": 0, "kafka_partition": 0}
        self.rows[topic.name].append(row)
        return row

    def order(self, number: int, fills: tuple[int, ...], side: str = "BUY") -> None:
        """An order of 30 lots and the fills it gets; what is left is canceled."""
        at_ns = number * 10 * SECOND_NS
        content = {
            "request_id": f"request-{number}",
            "account": "paper",
            "strategy": "direction",
            "source": "sim",
            "instrument": INSTRUMENT,
            "signal_sequence": number,
            "side": side,
            "quantity_lots": 30,
            "limit_price_ticks": 1_000,
            "bid_price_ticks": 990,
            "ask_price_ticks": 1_000,
            "quote_time_ns": at_ns - 1_000,
            "request_time_ns": at_ns,
        }
        self.add(t.ORDER_REQUEST, **content)
        approval = filled(
            t.ORDER_APPROVED.schema,
            content
            | {
                "expire_time_ns": at_ns + SECOND_NS,
                "position_lots": self.position,
                "pending_lots": 30,
                "gross_notional_e8": 1,
            },
        )
        approval["approval_id"] = identity(approval)
        self.rows[t.ORDER_APPROVED.name].append(approval)
        known = {**content, "approval_id": approval["approval_id"]}
        known["client_order_id"] = f"order-{number}"
        self.add(t.VENUE_ORDER, **known, send_time_ns=at_ns)
        self.events(known, fills, at_ns)

    def events(self, known: dict[str, Any], fills: tuple[int, ...], at_ns: int) -> None:
        sign = 1 if known["side"] == "BUY" else -1
        self.add(t.ORDER_EVENT, **known, event_sequence=1, state="SENT", event_time_ns=at_ns)
        done = 0
        for place, lots in enumerate(fills):
            done += lots
            self.add(
                t.VENUE_REPORT,
                **known
                | {
                    "report_sequence": place + 1,
                    "kind": "FILLED",
                    "quantity_lots": lots,
                    "price_ticks": 999,
                    "fee_e8": 7,
                },
            )
            self.position += sign * lots
            self.cash -= sign * lots * 999 + 7
            self.fees += 7
            self.fills += 1
            self.add(
                t.ORDER_EVENT,
                **known,
                event_sequence=place + 2,
                state="FILLED" if done == 30 else "PARTIALLY_FILLED",
                filled_lots=done,
                fill_lots=lots,
                fill_price_ticks=999,
                fill_fee_e8=7,
                cash_delta_e8=-sign * lots * 999 - 7,
                event_time_ns=at_ns + 1_000,
            )
            self.add(
                t.POSITION,
                account="paper",
                instrument=INSTRUMENT,
                quantity_lots=self.position,
                cash_e8=self.cash,
                fees_e8=self.fees,
                fill_count=self.fills,
            )
        if done < 30:
            self.add(
                t.ORDER_EVENT,
                **known,
                event_sequence=len(fills) + 2,
                state="CANCELED",
                filled_lots=done,
                event_time_ns=at_ns + 2_000,
            )


def identity(approval: Mapping[str, Any]) -> str:
    names = OrderApproved.__struct_fields__
    content = OrderApproved(*(approval[name] for name in names))
    return approval_id_of(content, expire_time_ns=content.expire_time_ns)


def sound() -> Rows:
    market = Market()
    market.order(1, (10, 20))
    market.order(2, (30,))
    market.order(3, (30,), side="SELL")
    market.order(4, (5,))
    market.order(5, ())
    rejected = filled(t.ORDER_REQUEST.schema, {"request_id": "request-6", "account": "paper"})
    market.rows[t.ORDER_REQUEST.name].append(rejected)
    market.add(t.ORDER_REJECTED, **rejected)
    return market.rows


def check(name: str, rows: Rows) -> list[str]:
    invariant = CHECKS[name]
    tables = {
        topic.name: pa.Table.from_pylist(
            rows[topic.name],
            schema=pa.schema([*load_schema(SCHEMAS, topic.schema).arrow, *LOG_COLUMNS]),
        )
        for topic in invariant.reads
    }
    return list(invariant.check(tables))


def event(rows: Rows, order: int, place: int) -> dict[str, Any]:
    events = [e for e in rows[t.ORDER_EVENT.name] if e["client_order_id"] == f"order-{order}"]
    return events[place]


def approve_anew(rows: Rows, place: int, **changed: Any) -> None:
    """Change an approval and give it the id of its new content, in its order too."""
    approval = rows[t.ORDER_APPROVED.name][place]
    approval |= changed
    before, approval["approval_id"] = approval["approval_id"], identity(approval)
    for topic in (t.VENUE_ORDER, t.ORDER_EVENT):
        for row in rows[topic.name]:
            if row["approval_id"] == before:
                row["approval_id"] = approval["approval_id"]


def again(rows: Rows, topic: Topic, place: int) -> None:
    rows[topic.name].append(deepcopy(rows[topic.name][place]))


def order_without_approval(rows: Rows) -> None:
    del rows[t.ORDER_APPROVED.name][1]


def order_of_more_than_approved(rows: Rows) -> None:
    rows[t.VENUE_ORDER.name][0]["quantity_lots"] += 1


def order_at_a_worse_price_than_approved(rows: Rows) -> None:
    rows[t.VENUE_ORDER.name][0]["limit_price_ticks"] += 1


def approval_of_other_content(rows: Rows) -> None:
    rows[t.ORDER_APPROVED.name][0]["expire_time_ns"] += 1


def approval_of_more_than_requested(rows: Rows) -> None:
    approve_anew(rows, 0, quantity_lots=31)
    rows[t.VENUE_ORDER.name][0]["quantity_lots"] = 31


def order_sent_after_the_expiry(rows: Rows) -> None:
    event(rows, 1, 0)["event_time_ns"] = 21 * SECOND_NS + 1


def request_left_without_answer(rows: Rows) -> None:
    rows[t.ORDER_REJECTED.name].clear()


def request_approved_and_rejected(rows: Rows) -> None:
    row = filled(t.ORDER_REJECTED.schema, {"request_id": "request-1", "account": "paper"})
    rows[t.ORDER_REJECTED.name].append(row)


def answer_to_no_request(rows: Rows) -> None:
    row = filled(t.ORDER_REJECTED.schema, {"request_id": "request-9", "account": "paper"})
    rows[t.ORDER_REJECTED.name].append(row)


def signal_approved_twice(rows: Rows) -> None:
    again(rows, t.ORDER_APPROVED, 0)
    rows[t.ORDER_APPROVED.name][-1]["approval_id"] = "other"


def order_sent_twice(rows: Rows) -> None:
    again(rows, t.VENUE_ORDER, 0)


def approval_used_for_two_orders(rows: Rows) -> None:
    again(rows, t.VENUE_ORDER, 0)
    rows[t.VENUE_ORDER.name][-1]["client_order_id"] = "other"


def second_live_order_of_a_signal(rows: Rows) -> None:
    rows[t.ORDER_EVENT.name].append(event(rows, 5, 0) | {"client_order_id": "other"})


def event_doubled(rows: Rows) -> None:
    rows[t.ORDER_EVENT.name].insert(1, deepcopy(event(rows, 1, 0)))


def event_lost(rows: Rows) -> None:
    rows[t.ORDER_EVENT.name].remove(event(rows, 1, 1))


def order_filled_beyond_its_quantity(rows: Rows) -> None:
    last = event(rows, 2, 1)
    last["fill_lots"] = last["filled_lots"] = 31


def fills_that_are_not_their_sum(rows: Rows) -> None:
    event(rows, 1, 1)["fill_lots"] = 9


def event_after_the_end(rows: Rows) -> None:
    rows[t.ORDER_EVENT.name].append(event(rows, 5, 1) | {"event_sequence": 3})


def reported_fill_not_booked(rows: Rows) -> None:
    row = rows[t.VENUE_REPORT.name][-1] | {"report_sequence": 2}
    rows[t.VENUE_REPORT.name].append(row)


def booked_fill_not_reported(rows: Rows) -> None:
    del rows[t.VENUE_REPORT.name][0]


def fill_booked_at_another_price(rows: Rows) -> None:
    event(rows, 1, 1)["fill_price_ticks"] += 1


def position_without_its_last_fill(rows: Rows) -> None:
    del rows[t.POSITION.name][-1]


def position_of_a_fill_counted_twice(rows: Rows) -> None:
    last = rows[t.POSITION.name][-1]
    last["quantity_lots"] += 5
    last["fill_count"] += 1


def position_with_other_cash(rows: Rows) -> None:
    rows[t.POSITION.name][-1]["cash_e8"] += 1


def approval_beyond_the_position_limit(rows: Rows) -> None:
    rows[t.ORDER_APPROVED.name][1]["pending_lots"] = 71


def orders_open_beyond_the_position_limit(rows: Rows) -> None:
    for number in (7, 8, 9, 10):
        sent = event(rows, 1, 0) | {"client_order_id": f"order-{number}"}
        rows[t.ORDER_EVENT.name].append(sent)


def approval_worth_too_much(rows: Rows) -> None:
    rows[t.ORDER_APPROVED.name][0]["limit_price_ticks"] = 2**62


def approval_that_forgot_a_fill(rows: Rows) -> None:
    rows[t.ORDER_APPROVED.name][1]["position_lots"] = 7


def approval_that_forgot_an_open_order(rows: Rows) -> None:
    rows[t.ORDER_APPROVED.name][1]["pending_lots"] = 0


def approval_that_knows_less_than_the_one_before(rows: Rows) -> None:
    rows[t.ORDER_APPROVED.name][4]["position_lots"] = 0


def approval_on_an_old_quote(rows: Rows) -> None:
    rows[t.ORDER_APPROVED.name][0]["quote_time_ns"] -= SECOND_NS


def approval_on_a_crossed_quote(rows: Rows) -> None:
    rows[t.ORDER_APPROVED.name][0]["bid_price_ticks"] = 1_001


def approval_on_an_invalid_quote(rows: Rows) -> None:
    rows[t.ORDER_REQUEST.name][0]["quote_valid"] = False


def approval_on_a_gapped_book(rows: Rows) -> None:
    rows[t.ORDER_REQUEST.name][0]["book_valid"] = False


def approval_on_a_quote_from_the_future(rows: Rows) -> None:
    rows[t.ORDER_APPROVED.name][0]["quote_time_ns"] = 10 * SECOND_NS + 1


def halted(rows: Rows, *, from_ms: int, until_ms: int | None) -> None:
    words = [("HALTED", from_ms), ("HALTED", from_ms + 5)]
    words += [] if until_ms is None else [("ACTIVE", until_ms), ("ACTIVE", until_ms + 5)]
    rows[t.ACCOUNT_CONTROL.name] = [
        filled(t.ACCOUNT_CONTROL.schema, {"account": "*", "state": state})
        | {"kafka_time_ms": at_ms, "kafka_partition": number % 2}
        for number, (state, at_ms) in enumerate(words)
    ]


def order_sent_at(rows: Rows, at_ms: int) -> None:
    event(rows, 1, 0)["kafka_time_ms"] = at_ms


def order_sent_long_after_a_halt(rows: Rows) -> None:
    halted(rows, from_ms=1_000, until_ms=90_000)
    order_sent_at(rows, 89_000)


def order_sent_under_a_halt_that_was_never_taken_back(rows: Rows) -> None:
    halted(rows, from_ms=1_000, until_ms=None)
    order_sent_at(rows, 10**9)


PLANTED: list[tuple[str, Callable[[Rows], None]]] = [
    ("order without approval", order_without_approval),
    ("order without approval", order_of_more_than_approved),
    ("order without approval", order_at_a_worse_price_than_approved),
    ("order without approval", approval_of_other_content),
    ("order without approval", approval_of_more_than_requested),
    ("approval expired", order_sent_after_the_expiry),
    ("request not answered once", request_left_without_answer),
    ("request not answered once", request_approved_and_rejected),
    ("request not answered once", answer_to_no_request),
    ("order doubled", signal_approved_twice),
    ("order doubled", order_sent_twice),
    ("order doubled", approval_used_for_two_orders),
    ("order doubled", second_live_order_of_a_signal),
    ("event out of turn", event_doubled),
    ("event out of turn", event_lost),
    ("order overfilled", order_filled_beyond_its_quantity),
    ("order overfilled", fills_that_are_not_their_sum),
    ("event after the end", event_after_the_end),
    ("fill lost or invented", reported_fill_not_booked),
    ("fill lost or invented", booked_fill_not_reported),
    ("fill lost or invented", fill_booked_at_another_price),
    ("position differs from fills", position_without_its_last_fill),
    ("position differs from fills", position_of_a_fill_counted_twice),
    ("position differs from fills", position_with_other_cash),
    ("limit exceeded", approval_beyond_the_position_limit),
    ("limit exceeded", orders_open_beyond_the_position_limit),
    ("limit exceeded", approval_worth_too_much),
    ("reservation differs from orders", approval_that_forgot_a_fill),
    ("reservation differs from orders", approval_that_forgot_an_open_order),
    ("reservation differs from orders", approval_that_knows_less_than_the_one_before),
    ("order while halted", order_sent_long_after_a_halt),
    ("order while halted", order_sent_under_a_halt_that_was_never_taken_back),
    ("action on a stale or gapped book", approval_on_an_old_quote),
    ("action on a stale or gapped book", approval_on_a_crossed_quote),
    ("action on a stale or gapped book", approval_on_a_quote_from_the_future),
    ("action on a stale or gapped book", approval_on_an_invalid_quote),
    ("action on a stale or gapped book", approval_on_a_gapped_book),
]


@pytest.mark.parametrize("name", CHECKS)
def test_a_sound_run_violates_nothing(name: str) -> None:
    assert check(name, sound()) == []


@pytest.mark.parametrize(
    ("name", "plant"), PLANTED, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_planted_violation_is_reported(name: str, plant: Callable[[Rows], None]) -> None:
    rows = sound()
    plant(rows)

    assert check(name, rows)


def test_every_invariant_has_a_planted_violation() -> None:
    assert {name for name, _ in PLANTED} == set(CHECKS)


@pytest.mark.parametrize("at_ms", [900, 1_200, 15_000, 90_000, 10**9])
def test_an_order_before_a_halt_soon_after_it_or_after_its_end_violates_nothing(at_ms: int) -> None:
    rows = sound()
    halted(rows, from_ms=1_000, until_ms=90_000)
    for each in rows[t.ORDER_EVENT.name]:
        each["kafka_time_ms"] = at_ms

    assert check("order while halted", rows) == []


def test_reports_that_come_twice_and_late_violate_nothing() -> None:
    rows = sound()
    again(rows, t.VENUE_REPORT, 0)
    again(rows, t.VENUE_REPORT, 2)

    assert [name for name in CHECKS if check(name, rows)] == []


def test_risk_may_lag_behind_the_events_of_orders() -> None:
    market = Market()
    market.order(1, (30,))
    market.position = 0
    market.order(2, (30,))
    market.rows[t.ORDER_APPROVED.name][1] |= {"pending_lots": 60}
    approve_anew(market.rows, 1)

    assert check("reservation differs from orders", market.rows) == []


def test_the_market_it_is_proven_on_is_the_same_every_time_and_ends() -> None:
    assert market_of(60) == market_of(60)
    assert "events=" in market_of(60)
    assert "start=" in market_of(60)
