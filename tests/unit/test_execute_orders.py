"""Orders sent once, followed by reports that repeat or overtake each other; positions, cash."""

from typing import Any

import msgspec
import pytest

from agents.execute_orders import CONTROLS, TABLE, execute_orders
from agents.trading.controls import EVERY_ACCOUNT
from agents.trading.identity import approval_id_of, client_order_id_of
from agents.trading.order_state import HELD_REPORTS_MAX
from agents.trading.records import AccountControl, OrderApproved, VenueReport
from headrace import Output
from schemas import topics
from tests.trading_batches import (
    ASK_TICKS,
    BID_TICKS,
    EXECUTE_READS,
    PERP,
    SECOND_NS,
    SOURCE,
    SPOT,
    START_NS,
    merged,
    request,
    rows_of,
)
from topologies.trading import TOPOLOGY

LOTS = 10**6
PARTS = {AccountControl: 0, OrderApproved: 1, VenueReport: 2}


def approval(sequence: int, **changed: Any) -> OrderApproved:
    asked = request(sequence, **changed)
    expire_time_ns = asked.request_time_ns + SECOND_NS
    content = msgspec.structs.asdict(asked)
    del content["quote_valid"], content["book_valid"]
    return OrderApproved(
        approval_id=approval_id_of(asked, expire_time_ns=expire_time_ns),
        expire_time_ns=expire_time_ns,
        position_lots=0,
        pending_lots=asked.quantity_lots,
        gross_notional_e8=0,
        **content,
    )


def report(
    approved: OrderApproved,
    sequence: int,
    kind: str,
    lots: int = 0,
    price_ticks: int = ASK_TICKS,
    *,
    fee_e8: int = 0,
) -> VenueReport:
    identity = (
        approved.account,
        approved.strategy,
        approved.instrument,
        approved.source,
        approved.signal_sequence,
    )
    return VenueReport(
        client_order_id=client_order_id_of(*identity),
        account=approved.account,
        instrument=approved.instrument,
        report_sequence=sequence,
        kind=kind,
        side=approved.side,
        quantity_lots=lots,
        price_ticks=price_ticks if kind == "FILLED" else 0,
        fee_e8=fee_e8,
        reason="because" if kind in {"CANCELED", "REJECTED"} else "",
        venue_time_ns=approved.request_time_ns + sequence,
        quote_sequence=0,
    )


def run(arrivals: list[Any], state: Any = None) -> Output:
    state = TABLE.open() if state is None else state
    batch = merged(EXECUTE_READS, [(PARTS[type(row)], row) for row in arrivals])
    return execute_orders(batch, state)


def states(output: Output) -> list[tuple[int, str]]:
    return [(event.event_sequence, event.state) for event in rows_of(output, topics.ORDER_EVENT)]


def test_approved_order_is_sent_once_with_its_signals_identity() -> None:
    approved = approval(1)

    output = run([approved])

    (order,) = rows_of(output, topics.VENUE_ORDER)
    (event,) = rows_of(output, topics.ORDER_EVENT)
    assert order.client_order_id == client_order_id_of("paper", "direction", SPOT, SOURCE, 1)
    assert order.approval_id == event.approval_id == approved.approval_id
    assert order.send_time_ns == approved.request_time_ns
    assert (event.state, event.event_sequence, event.request_id) == ("SENT", 1, approved.request_id)
    assert output.counts == {"approval_sent": 1}


def test_repeated_approval_is_dropped_and_counted_even_after_the_order_ended() -> None:
    state = TABLE.open()
    first = approval(1)

    run([first, first, report(first, 1, "REJECTED")], state)
    output = run([first, approval(2), first], state)

    assert len(rows_of(output, topics.VENUE_ORDER)) == 1
    assert output.counts == {"approval_duplicate": 2, "approval_sent": 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"quantity_lots": LOTS + 1},
        {"limit_price_ticks": 1},
        {"side": "SELL"},
        {"instrument": PERP},
        {"expire_time_ns": 2**62},
        {"account": "other"},
        {"quote_time_ns": 1},
    ],
)
def test_approval_whose_content_was_changed_is_a_dead_row(changed: dict[str, Any]) -> None:
    output = run([msgspec.structs.replace(approval(1), **changed)])

    assert [(row.part, row.cause) for row in output.dead] == [(1, "approval_content_mismatch")]
    assert not output.records


def test_expired_approval_is_rejected_and_never_sent() -> None:
    newer = approval(2, request_time_ns=approval(1).expire_time_ns + 1, strategy="other")

    output = run([newer, approval(1)])

    assert len(rows_of(output, topics.VENUE_ORDER)) == 1
    event = rows_of(output, topics.ORDER_EVENT)[1]
    assert (event.state, event.reason) == ("REJECTED", "approval_expired")
    assert output.counts["approval_rejected_approval_expired"] == 1


def control(state: Any, time_ns: int = START_NS, account: str = "paper") -> AccountControl:
    return AccountControl(account, state, "test", time_ns)


def refusals(output: Output) -> list[tuple[str, str]]:
    return [
        (event.state, event.reason)
        for event in rows_of(output, topics.ORDER_EVENT)
        if event.reason != ""
    ]


def restarted(state: Any) -> Any:
    after = TABLE.open()
    after.restore({key: page for key, page in state.changes().items() if page})
    return after


@pytest.mark.parametrize("account", ["paper", EVERY_ACCOUNT])
def test_halt_refuses_approvals_already_given_and_survives_a_restart(account: str) -> None:
    state = TABLE.open()

    first = run([control("HALTED", account=account), approval(1)], state)
    second = run([approval(2)], restarted(state))

    assert refusals(first) == refusals(second) == [("REJECTED", "account_halted")]
    assert topics.VENUE_ORDER.name not in {**first.records, **second.records}
    assert first.counts == {"control_applied": 1, "approval_rejected_account_halted": 1}


def test_halt_in_the_same_batch_is_obeyed_before_the_approvals_of_its_poll() -> None:
    """The engine orders the parts of a batch as the step reads them: controls first."""
    (step,) = (step for step in TOPOLOGY.steps if step.name == "execution")

    assert step.reads[CONTROLS] is topics.ACCOUNT_CONTROL


def test_refused_approval_stays_refused_after_the_account_is_active_again() -> None:
    state = TABLE.open()
    halted = approval(1)
    run([control("HALTED"), halted], state)

    output = run([control("ACTIVE", START_NS + 1), halted, approval(2)], state)

    assert output.counts == {"control_applied": 1, "approval_duplicate": 1, "approval_sent": 1}


def test_tighter_of_the_two_words_applies() -> None:
    state = TABLE.open()
    run([control("HALTED"), control("ACTIVE", account=EVERY_ACCOUNT)], state)
    one = run([approval(1)], state)

    run([control("HALTED", account=EVERY_ACCOUNT), control("ACTIVE", START_NS + 1)], state)
    all_of_them = run([approval(2)], state)

    assert refusals(one) == refusals(all_of_them) == [("REJECTED", "account_halted")]


def test_old_word_that_loosens_is_stale_and_changes_nothing() -> None:
    output = run([control("HALTED"), control("ACTIVE", START_NS - 1), approval(1)])

    assert output.counts["control_stale"] == 1
    assert refusals(output) == [("REJECTED", "account_halted")]


def test_reducing_account_sends_only_what_closes_its_position_open_orders_counted() -> None:
    state = TABLE.open()
    bought = approval(1)
    run([bought, report(bought, 1, "FILLED", LOTS), control("REDUCING")], state)
    sale = {"side": "SELL", "limit_price_ticks": BID_TICKS}

    output = run(
        [
            approval(2),
            approval(3, quantity_lots=LOTS + 1, **sale),
            approval(4, quantity_lots=LOTS - 1, **sale),
            approval(5, quantity_lots=2, **sale),
            approval(6, quantity_lots=1, **sale),
        ],
        state,
    )

    assert output.counts == {"approval_rejected_account_reducing": 3, "approval_sent": 2}
    assert [order.quantity_lots for order in rows_of(output, topics.VENUE_ORDER)] == [LOTS - 1, 1]


def test_order_that_is_out_when_its_account_is_halted_is_followed_to_its_end() -> None:
    state = TABLE.open()
    sent = approval(1)
    run([sent, control("HALTED")], state)

    output = run([report(sent, 1, "FILLED", LOTS)], state)

    assert states(output) == [(2, "FILLED")]


def test_control_of_an_unknown_state_is_a_dead_row() -> None:
    output = run([control("ASLEEP")])

    assert [(row.part, row.cause) for row in output.dead] == [(0, "control_unknown")]


def test_approval_expires_by_the_clock_of_its_own_stream_alone() -> None:
    late = approval(1, request_time_ns=START_NS)
    elsewhere = approval(9, source="other", request_time_ns=START_NS + 60 * SECOND_NS)

    output = run([elsewhere, late])

    assert output.counts == {"approval_sent": 2}


def test_approval_used_at_its_last_nanosecond_is_sent() -> None:
    newer = approval(2, request_time_ns=approval(1).expire_time_ns, strategy="other")

    output = run([newer, approval(1)])

    assert output.counts == {"approval_sent": 2}


def test_fill_held_beyond_the_end_of_its_order_is_counted_apart() -> None:
    approved = approval(1)

    output = run(
        [
            approved,
            report(approved, 2, "FILLED", 5),
            report(approved, 3, "ACKNOWLEDGED"),
            report(approved, 1, "CANCELED", LOTS),
        ]
    )

    assert output.counts["held_fill_after_end"] == 1
    assert output.counts["held_absorbed"] == 1
    assert topics.POSITION.name not in output.records


def test_overfill_refused_while_it_waits_is_counted_once() -> None:
    approved = approval(1)

    output = run(
        [
            approved,
            report(approved, 3, "FILLED", LOTS + 1),
            report(approved, 1, "CANCELED", LOTS),
        ]
    )

    assert [row.cause for row in output.dead] == ["overfill"]
    assert output.counts == {"approval_sent": 1, "report_applied": 1}


def test_reports_take_an_order_through_its_life_and_into_the_position() -> None:
    approved = approval(1)

    output = run(
        [
            approved,
            report(approved, 1, "ACKNOWLEDGED"),
            report(approved, 2, "FILLED", 600_000, fee_e8=7),
            report(approved, 3, "CANCELED", 400_000),
        ]
    )

    assert states(output) == [
        (1, "SENT"),
        (2, "ACKNOWLEDGED"),
        (3, "PARTIALLY_FILLED"),
        (4, "CANCELED"),
    ]
    (position,) = rows_of(output, topics.POSITION)
    assert position.quantity_lots == 600_000
    assert position.cash_e8 == -(60_001 * 600_000) - 7
    assert position.profit_e8 == -7
    assert rows_of(output, topics.ORDER_EVENT)[2].cash_delta_e8 == position.cash_e8
    assert rows_of(output, topics.ORDER_EVENT)[3].reason == "because"


def test_reports_that_overtake_are_held_until_their_turn() -> None:
    approved = approval(1)
    reports = [
        report(approved, 1, "ACKNOWLEDGED"),
        report(approved, 2, "FILLED", 400_000),
        report(approved, 3, "FILLED", 600_000),
    ]
    straight = run([approved, *reports])

    state = TABLE.open()
    first = run([approved, reports[2], reports[1], reports[2]], state)
    second = run([reports[0]], state)

    events = rows_of(first, topics.ORDER_EVENT) + rows_of(second, topics.ORDER_EVENT)
    assert events == rows_of(straight, topics.ORDER_EVENT)
    assert first.counts == {"approval_sent": 1, "report_held": 2, "report_duplicate": 1}
    assert second.counts == {"report_applied": 1, "held_applied": 2}


def test_end_states_absorb_and_a_fill_after_the_end_is_a_dead_row() -> None:
    approved = approval(1)

    output = run(
        [
            approved,
            report(approved, 1, "CANCELED", LOTS),
            report(approved, 1, "CANCELED", LOTS),
            report(approved, 2, "ACKNOWLEDGED"),
            report(approved, 3, "FILLED", 1),
        ]
    )

    assert states(output)[-1] == (2, "CANCELED")
    assert topics.POSITION.name not in output.records
    assert output.counts == {
        "approval_sent": 1,
        "report_applied": 1,
        "report_duplicate": 1,
        "report_after_end": 1,
    }
    assert [row.cause for row in output.dead] == ["fill_after_end"]


def test_overfill_is_a_dead_row_whichever_fill_comes_first_and_the_order_goes_on() -> None:
    approved = approval(1)

    output = run(
        [
            approved,
            report(approved, 2, "FILLED", 700_000),
            report(approved, 1, "FILLED", 700_000),
            report(approved, 3, "FILLED", 300_000),
        ]
    )

    assert [(row.row, row.cause) for row in output.dead] == [(1, "overfill")]
    assert states(output)[-1] == (3, "FILLED")
    assert rows_of(output, topics.POSITION)[-1].quantity_lots == LOTS


def test_report_of_an_order_that_never_was_is_a_dead_row() -> None:
    output = run([report(approval(1), 1, "FILLED", 1)])

    assert [(row.part, row.cause) for row in output.dead] == [(2, "unknown_order")]


@pytest.mark.parametrize(
    "changed",
    [
        {"side": "SELL"},
        {"instrument": PERP},
        {"kind": "LOST"},
        {"report_sequence": 0},
        {"quantity_lots": 0},
        {"quantity_lots": -1},
        {"price_ticks": 0},
    ],
)
def test_report_that_contradicts_its_order_is_a_dead_row(changed: dict[str, Any]) -> None:
    approved = approval(1)
    wrong = msgspec.structs.replace(report(approved, 1, "FILLED", 1), **changed)

    output = run([approved, wrong])

    assert [row.cause for row in output.dead] == ["report_invalid"]


def test_held_reports_are_bounded() -> None:
    approved = approval(1)
    late = [report(approved, k, "ACKNOWLEDGED") for k in range(3, HELD_REPORTS_MAX + 4)]

    output = run([approved, *late])

    assert output.counts["report_held"] == HELD_REPORTS_MAX
    assert [row.cause for row in output.dead] == ["report_held_limit"]


def test_rejection_after_a_fill_counts_as_canceled() -> None:
    approved = approval(1)

    output = run([approved, report(approved, 1, "FILLED", 5), report(approved, 2, "REJECTED")])

    assert states(output)[-1] == (3, "CANCELED")


def test_acknowledgement_after_a_fill_changes_nothing() -> None:
    approved = approval(1)

    output = run([approved, report(approved, 1, "FILLED", 5), report(approved, 2, "ACKNOWLEDGED")])

    assert states(output)[-1] == (2, "PARTIALLY_FILLED")
    assert output.counts["unchanged_by_report"] == 1


def test_inverse_position_earns_base_currency_when_the_price_rises() -> None:
    bought = approval(1, instrument=PERP, quantity_lots=10 * 10**8)
    sold = approval(2, instrument=PERP, quantity_lots=10 * 10**8, side="SELL")

    output = run(
        [
            bought,
            report(bought, 1, "FILLED", 10 * 10**8, price_ticks=50_000 * 10**8, fee_e8=3),
            sold,
            report(sold, 1, "FILLED", 10 * 10**8, price_ticks=60_000 * 10**8, fee_e8=4),
        ]
    )

    opened, closed = rows_of(output, topics.POSITION)
    assert (opened.cash_e8, opened.profit_e8) == (2_000_000 - 3, -3)
    # 1,000 / 60,000 in 1e-8, and what is paid is rounded up.
    assert closed.cash_e8 == 2_000_000 - 1_666_667 - 7
    assert (closed.quantity_lots, closed.fees_e8, closed.fill_count) == (0, 7, 2)


def test_restart_in_the_middle_changes_nothing() -> None:
    bought, sold = approval(1), approval(2, side="SELL", limit_price_ticks=BID_TICKS)
    arrivals = [
        bought,
        report(bought, 2, "FILLED", 500_000),
        sold,
        report(bought, 1, "ACKNOWLEDGED"),
        report(sold, 1, "FILLED", LOTS, BID_TICKS),
        bought,
        report(bought, 3, "CANCELED", 500_000),
    ]
    whole = run(arrivals)

    for cut in range(len(arrivals) + 1):
        before = TABLE.open()
        first = run(arrivals[:cut], before)
        after = TABLE.open()
        after.restore({key: page for key, page in before.changes().items() if page})
        second = run(arrivals[cut:], after)
        for topic in (topics.VENUE_ORDER, topics.ORDER_EVENT, topics.POSITION):
            assert rows_of(first, topic) + rows_of(second, topic) == rows_of(whole, topic)
