"""The pre-trade checks: each with its code and figures; reservations, controls, restarts."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from agents.check_risk import TABLE, check_risk
from agents.trading.identity import approval_id_of
from agents.trading.limits import (
    OPEN_ORDERS_MAX,
    AccountLimits,
    InstrumentLimits,
    RiskLimits,
)
from agents.trading.records import (
    AccountControl,
    OrderEvent,
    OrderRejected,
    OrderRequest,
    read_rows,
)
from headrace import Output
from schemas import topics
from schemas.instruments import E8
from tests.trading_batches import (
    ASK_TICKS,
    BID_TICKS,
    PERP,
    RISK_READS,
    SECOND_NS,
    SPOT,
    START_NS,
    merged,
    request,
    rows_of,
)

OPEN = AccountLimits(
    rate_instrument_max=100,
    rate_account_max=100,
    instruments={},
    position_notional_max_e8=10**9 * E8,
    gross_notional_max_e8=10**9 * E8,
)
LOTS = 10**6


def run(arrivals: list[Any], state: Any = None, limits: Any = OPEN) -> Output:
    state = TABLE.open() if state is None else state
    batch = merged(RISK_READS, [_arrival(row) for row in arrivals])
    return check_risk(batch, state, RiskLimits({"paper": limits}))


def _arrival(row: Any) -> tuple[int, Any]:
    return {OrderEvent: 2, AccountControl: 0}.get(type(row), 1), row


def rejections(output: Output) -> list[OrderRejected]:
    records = output.records.get(topics.ORDER_REJECTED.name)
    return [] if records is None else read_rows(OrderRejected, records)


def event(asked: OrderRequest, sequence: int, state: Any, filled_lots: int = 0) -> OrderEvent:
    return OrderEvent(
        client_order_id="order",
        event_sequence=sequence,
        account=asked.account,
        strategy=asked.strategy,
        instrument=asked.instrument,
        source=asked.source,
        approval_id="approval",
        request_id=asked.request_id,
        signal_sequence=asked.signal_sequence,
        side=asked.side,
        state=state,
        quantity_lots=asked.quantity_lots,
        filled_lots=filled_lots,
        fill_lots=0,
        fill_price_ticks=0,
        fill_fee_e8=0,
        cash_delta_e8=0,
        reason="",
        event_time_ns=asked.request_time_ns,
    )


def control(state: Any, time_ns: int = START_NS, account: str = "paper") -> AccountControl:
    return AccountControl(account, state, "test", time_ns)


def test_request_within_every_limit_is_approved_and_bound_to_its_content() -> None:
    asked = request(1)

    output = run([asked])

    (approved,) = rows_of(output, topics.ORDER_APPROVED)
    assert approved.expire_time_ns == asked.request_time_ns + SECOND_NS
    assert approved.approval_id == approval_id_of(asked, expire_time_ns=approved.expire_time_ns)
    assert (approved.position_lots, approved.pending_lots) == (0, LOTS)
    assert approved.gross_notional_e8 == 600_005 * E8 // 1_000
    assert output.counts == {"request_approved": 1}


LATE_NS = START_NS + SECOND_NS - OPEN.quote_age_max_ns - 1
ONE_LIMIT = [
    ({"account": "other"}, {}, "account_unknown", 1, 0),
    ({"quantity_lots": 0}, {}, "request_invalid", 1, 0),
    ({"limit_price_ticks": -3}, {}, "request_invalid", 1, -3),
    ({"instrument": "nowhere:X"}, {}, "instrument_unknown", 0, 0),
    ({}, {"any_instrument": InstrumentLimits(tradable=False)}, "instrument_not_tradable", 0, 1),
    ({"quote_valid": False}, {}, "quote_invalid", ASK_TICKS, BID_TICKS),
    ({"bid_price_ticks": ASK_TICKS + 1}, {}, "quote_invalid", ASK_TICKS, ASK_TICKS + 1),
    ({"quote_time_ns": START_NS + 2 * SECOND_NS}, {}, "quote_invalid", ASK_TICKS, BID_TICKS),
    ({"book_valid": False}, {}, "book_invalid", 1, 0),
    ({"quote_time_ns": LATE_NS}, {}, "quote_stale", 500_000_000, 500_000_001),
    ({"limit_price_ticks": ASK_TICKS * 1_003 // 1_000}, {}, "price_collar", 20, 31),
    ({"limit_price_ticks": BID_TICKS * 997 // 1_000}, {}, "price_collar", 20, 31),
    ({}, {"any_instrument": InstrumentLimits(max_quantity_lots=9)}, "max_quantity", 9, LOTS),
    ({}, {"order_notional_max_e8": 600 * E8}, "max_notional", 600 * E8, 60_001 * E8 // 100),
    ({}, {"rate_instrument_max": 0}, "rate_instrument", 0, 1),
    ({}, {"rate_account_max": 0}, "rate_account", 0, 1),
    ({}, {"open_orders_max": 0}, "open_orders", 0, 1),
    ({}, {"any_instrument": InstrumentLimits(max_position_lots=9)}, "max_position", 9, LOTS),
    (
        {},
        {"position_notional_max_e8": 600 * E8},
        "max_position_notional",
        600 * E8,
        60_001 * E8 // 100,
    ),
    ({}, {"gross_notional_max_e8": 5 * E8}, "max_gross_notional", 5 * E8, 60_001 * E8 // 100),
]


@pytest.mark.parametrize(("changed", "limits", "check", "limit", "actual"), ONE_LIMIT)
def test_request_that_breaks_one_limit_is_rejected_with_its_figures(
    changed: dict[str, Any], limits: Any, check: str, limit: int, actual: int
) -> None:
    output = run([request(1, **changed)], limits=replace(OPEN, **limits))

    (rejected,) = rejections(output)
    assert (rejected.check, rejected.limit, rejected.actual) == (check, limit, actual)
    assert rejected.detail
    assert output.counts == {f"request_rejected_{check}": 1}
    assert topics.ORDER_APPROVED.name not in output.records


@pytest.mark.parametrize(
    ("changed", "limits"),
    [
        ({"quote_time_ns": LATE_NS + 1}, {}),
        ({}, {"any_instrument": InstrumentLimits(True, LOTS, LOTS)}),
        ({}, {"order_notional_max_e8": 60_001 * E8 // 100}),
        ({}, {"rate_instrument_max": 1, "rate_account_max": 1, "open_orders_max": 1}),
        ({}, {"gross_notional_max_e8": 60_001 * E8 // 100}),
    ],
)
def test_request_exactly_at_a_limit_is_approved(changed: dict[str, Any], limits: Any) -> None:
    output = run([request(1, **changed)], limits=replace(OPEN, **limits))

    assert output.counts == {"request_approved": 1}


def test_repeated_and_late_requests_are_rejected_as_duplicates() -> None:
    state = TABLE.open()

    run([request(5)], state)
    output = run([request(5), request(4), request(6)], state)

    assert [(each.check, each.limit, each.actual) for each in rejections(output)] == [
        ("duplicate_request", 6, 5),
        ("duplicate_request", 6, 4),
    ]
    assert output.counts["request_approved"] == 1


def test_rejected_request_is_not_judged_again() -> None:
    state = TABLE.open()

    run([control("HALTED"), request(1)], state)
    output = run([control("ACTIVE"), request(1)], state)

    assert [each.check for each in rejections(output)] == ["duplicate_request"]


def test_request_with_another_signals_identity_is_a_dead_row() -> None:
    output = run([msgspec.structs.replace(request(1), signal_sequence=2)])

    assert [row.cause for row in output.dead] == ["request_id_mismatch"]


def test_names_that_mean_nothing_leave_no_state() -> None:
    state = TABLE.open()

    run([request(1, account="other"), request(1, instrument="nowhere:X")], state)

    assert len(state) == 0


def test_rate_counts_the_second_before_a_request_and_not_what_was_rejected() -> None:
    limits = replace(OPEN, rate_instrument_max=2)
    times = [START_NS, START_NS + 1, START_NS + 999_999_999, START_NS + SECOND_NS]

    output = run([request(k + 1, request_time_ns=t) for k, t in enumerate(times)], limits=limits)

    assert [each.signal_sequence for each in rejections(output)] == [3]
    assert rejections(output)[0].actual == 3


def test_account_rate_counts_all_instruments_and_late_clocks_against_us() -> None:
    limits = replace(OPEN, rate_account_max=2)
    lagging = START_NS + SECOND_NS // 2
    arrivals = [
        request(1, request_time_ns=START_NS + SECOND_NS),
        request(2, request_time_ns=START_NS + SECOND_NS + 1),
        request(1, instrument=PERP, quantity_lots=10**8, request_time_ns=lagging),
        request(2, instrument=PERP, quantity_lots=10**8, request_time_ns=lagging - SECOND_NS),
    ]

    output = run(arrivals, limits=limits)

    assert [(each.check, each.actual) for each in rejections(output)] == [("rate_account", 3)]


def test_second_that_is_no_longer_known_is_refused() -> None:
    state = TABLE.open()
    arrivals = [request(k, request_time_ns=START_NS + k * 10_000_000) for k in range(1, 602)]
    run(arrivals, state, replace(OPEN, open_orders_max=1_000))

    late = request(1, instrument=PERP, quantity_lots=10**8, request_time_ns=START_NS)
    output = run([late], state, replace(OPEN, open_orders_max=1_000))

    assert [each.check for each in rejections(output)] == ["rate_account"]
    assert "no longer known" in rejections(output)[0].detail


def test_fills_move_from_reserved_to_position_and_the_end_frees_the_rest() -> None:
    state = TABLE.open()
    asked = request(1)
    run([asked], state)

    output = run(
        [
            event(asked, 1, "SENT"),
            event(asked, 3, "PARTIALLY_FILLED", 400_000),
            event(asked, 2, "ACKNOWLEDGED"),
            event(asked, 3, "PARTIALLY_FILLED", 400_000),
            event(asked, 4, "CANCELED", 400_000),
            event(asked, 3, "PARTIALLY_FILLED", 400_000),
        ],
        state,
    )

    risk = state.read("paper").instruments.read(SPOT)
    assert (risk.position_lots, risk.reserved_buy_lots) == (400_000, 0)
    assert output.counts == {"event_applied": 3, "event_duplicate": 2, "event_finished": 1}


def test_end_that_overtakes_its_fills_settles_them() -> None:
    state = TABLE.open()
    asked = request(1, side="SELL", limit_price_ticks=BID_TICKS)
    run([asked], state)

    run([event(asked, 4, "FILLED", LOTS), event(asked, 3, "PARTIALLY_FILLED", 1)], state)

    risk = state.read("paper").instruments.read(SPOT)
    assert (risk.position_lots, risk.reserved_sell_lots) == (-LOTS, 0)
    assert len(state.read("paper").reservations) == 0


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"filled_lots": LOTS + 1}, "event_overfill"),
        ({"filled_lots": -1}, "event_overfill"),
        ({"side": "SELL"}, "event_mismatch"),
        ({"quantity_lots": 7}, "event_mismatch"),
        ({"state": "FILLED", "filled_lots": 5}, "event_mismatch"),
        ({"instrument": "nowhere:X"}, "instrument_unknown"),
    ],
)
def test_event_that_contradicts_the_approval_is_a_dead_row(
    changed: dict[str, Any], cause: str
) -> None:
    state = TABLE.open()
    asked = request(1)
    run([asked], state)

    output = run([msgspec.structs.replace(event(asked, 1, "PARTIALLY_FILLED"), **changed)], state)

    assert [(row.part, row.cause) for row in output.dead] == [(2, cause)]


def test_open_orders_count_towards_position_and_gross_exposure() -> None:
    limits = replace(OPEN, any_instrument=InstrumentLimits(True, LOTS, 2 * LOTS))

    output = run([request(1), request(2), request(3)], limits=limits)

    (rejected,) = rejections(output)
    assert (rejected.check, rejected.limit, rejected.actual) == (
        "max_position",
        2_000_000,
        3_000_000,
    )


def test_order_that_shrinks_a_position_passes_a_full_gross_limit() -> None:
    limits = replace(OPEN, gross_notional_max_e8=60_001 * E8 // 100)
    state = TABLE.open()
    asked = request(1)
    run([asked, event(asked, 1, "FILLED", LOTS)], state, limits)

    output = run([request(2), request(3, side="SELL", limit_price_ticks=BID_TICKS)], state, limits)

    assert [each.check for each in rejections(output)] == ["max_gross_notional"]
    assert output.counts["request_approved"] == 1


def test_gross_exposure_sums_instruments_and_inverse_contracts_at_their_worth() -> None:
    output = run([request(1), request(1, instrument=PERP, quantity_lots=7 * 10**8)])

    assert (
        rows_of(output, topics.ORDER_APPROVED)[1].gross_notional_e8
        == 600_005 * E8 // 1_000 + 700 * E8
    )


def test_reducing_account_may_only_make_its_position_smaller_counting_open_orders() -> None:
    state = TABLE.open()
    asked = request(1)
    run([asked, event(asked, 1, "FILLED", LOTS), control("REDUCING")], state)
    sale = {"side": "SELL", "limit_price_ticks": BID_TICKS}

    output = run(
        [
            request(2),
            request(3, quantity_lots=LOTS + 1, **sale),
            request(4, quantity_lots=LOTS - 1, **sale),
            request(5, quantity_lots=2, **sale),
            request(6, quantity_lots=1, **sale),
        ],
        state,
    )

    assert [(each.check, each.limit, each.actual) for each in rejections(output)] == [
        ("account_reducing", 0, LOTS),
        ("account_reducing", LOTS, LOTS + 1),
        ("account_reducing", 1, 2),
    ]


def test_halt_survives_a_restart_and_lasts_until_a_newer_word() -> None:
    before = TABLE.open()
    run([request(1), control("HALTED", START_NS)], before)
    after = TABLE.open()
    after.restore({key: page for key, page in before.changes().items() if page})

    output = run(
        [request(2), control("ACTIVE", START_NS - 1), request(3), control("ACTIVE"), request(4)],
        after,
    )

    assert [each.check for each in rejections(output)] == ["account_halted", "account_halted"]
    assert output.counts["control_stale"] == 1
    assert output.counts["request_approved"] == 1


def test_halt_is_obeyed_whatever_its_clock_says() -> None:
    output = run([control("REDUCING", START_NS), control("HALTED", 0), request(1)])

    assert [each.check for each in rejections(output)] == ["account_halted"]


def test_control_of_an_unknown_account_or_state_is_a_dead_row() -> None:
    output = run([control("HALTED", account="other"), control("ASLEEP")])

    assert [(row.part, row.cause) for row in output.dead] == [(0, "control_unknown")] * 2


def test_figures_beyond_64_bits_are_clamped() -> None:
    limits = replace(OPEN, price_collar_bps=10**10)
    output = run([request(1, limit_price_ticks=2**62, quantity_lots=10**14)], limits=limits)

    assert rejections(output)[0].actual == 2**63 - 1


def test_commit_after_an_approval_writes_few_small_pages() -> None:
    state = TABLE.open()
    limits = replace(OPEN, open_orders_max=OPEN_ORDERS_MAX)
    run(
        [request(k, request_time_ns=START_NS + k * 50_000_000) for k in range(1, 1_000)],
        state,
        limits,
    )
    full = state.changes()

    run([request(1_000)], state, limits)
    pages = state.changes()

    assert max(len(page) for page in full.values() if page) < 10_000
    assert len(pages) == 4


@pytest.mark.parametrize(
    "changed",
    [{"rate_account_max": 513}, {"open_orders_max": -1}, {"gross_notional_max_e8": 2**63}],
)
def test_limits_that_the_state_could_not_hold_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed))):
        AccountLimits(**changed)
