"""The decision rule: which predictions ask for an order, for how much and at what price."""

import math
from typing import Any

import pytest

from agents.request_orders import TABLE, request_orders
from agents.trading.decision import DecisionRule
from agents.trading.identity import request_id_of
from headrace import Batch, Output
from schemas import topics
from schemas.instruments import E8
from tests.trading_batches import (
    ASK_TICKS,
    BID_TICKS,
    PERP,
    SECOND_NS,
    SOURCE,
    SPOT,
    START_NS,
    part,
    prediction,
    rows_of,
)


def run(rows: list[Any], state: Any = None, rule: DecisionRule | None = None) -> Output:
    state = TABLE.open() if state is None else state
    return request_orders(Batch.of(part(topics.PREDICTION, rows)), state, rule or DecisionRule())


def test_confident_prediction_asks_for_an_order_at_a_marketable_price() -> None:
    output = run([prediction(7)])

    (request,) = rows_of(output, topics.ORDER_REQUEST)
    assert request.side == "BUY"
    assert request.limit_price_ticks == ASK_TICKS * 10_002 // 10_000
    assert request.request_id == request_id_of("paper", "direction", SPOT, SOURCE, 7)
    assert request.quantity_lots == 1_666_000
    assert request.request_time_ns == START_NS + 7 * SECOND_NS
    assert output.causes[topics.ORDER_REQUEST.name].tolist() == [0]


def test_sale_is_limited_below_the_bid_and_rounded_up() -> None:
    row = prediction(1, probability_up=0.1, probability_down=0.8, bid_price_ticks=BID_TICKS + 1)

    (request,) = rows_of(run([row]), topics.ORDER_REQUEST)

    assert request.side == "SELL"
    assert request.limit_price_ticks == math.ceil((BID_TICKS + 1) * 9_998 / 10_000)


def test_inverse_orders_are_whole_contracts() -> None:
    (request,) = rows_of(run([prediction(1, instrument=PERP)]), topics.ORDER_REQUEST)

    assert request.quantity_lots == 10 * 10**8


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        ({"probability_up": 0.54}, "prediction_below_threshold"),
        ({"probability_up": 0.55, "probability_down": 0.40}, "prediction_below_threshold"),
        ({"quote_valid": False}, "prediction_quote_invalid"),
        ({"bid_price_ticks": ASK_TICKS + 1}, "prediction_quote_invalid"),
        ({"quote_time_ns": 0}, "prediction_quote_invalid"),
        ({"book_valid": False}, "prediction_book_invalid"),
        ({"quote_time_ns": START_NS + 100 * SECOND_NS}, "prediction_quote_invalid"),
        ({"ask_price_ticks": 2 * 10**17, "instrument": SPOT}, "prediction_size_zero"),
    ],
)
def test_prediction_that_asks_for_nothing_is_counted(changed: dict[str, Any], count: str) -> None:
    output = run([prediction(1, **changed)])

    assert not output.records
    assert output.counts == {count: 1}


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.1, math.inf])
def test_impossible_probability_is_a_dead_row(value: float) -> None:
    output = run([prediction(1, probability_up=value), prediction(2)])

    assert [(row.row, row.cause) for row in output.dead] == [(0, "probability_invalid")]
    assert len(rows_of(output, topics.ORDER_REQUEST)) == 1


def test_unknown_instrument_is_a_dead_row() -> None:
    output = run([prediction(1, instrument="nowhere:X")])

    assert [row.cause for row in output.dead] == ["instrument_unknown"]


def test_repeated_and_late_signals_are_dropped_and_counted() -> None:
    state = TABLE.open()
    rows = [prediction(5), prediction(5), prediction(4)]

    output = run([*rows, prediction(9)], state)
    again = run([*rows, prediction(9)], state)

    assert output.counts == {"prediction_duplicate": 2, "prediction_requested": 2}
    assert again.counts == {"prediction_duplicate": 4}


def test_second_source_of_an_instrument_counts_its_signals_anew() -> None:
    state = TABLE.open()
    run([prediction(900)], state)

    output = run([prediction(1, source="other")], state)

    assert output.counts == {"prediction_requested": 1}


def test_cooldown_runs_by_instrument_on_the_clock_of_the_records() -> None:
    near = START_NS + SECOND_NS + 249_999_999
    rows = [
        prediction(1),
        prediction(2, receive_time_ns=near),
        prediction(2, instrument=PERP, receive_time_ns=near),
        prediction(3, receive_time_ns=near + 1),
    ]

    output = run(rows)

    assert output.counts == {"prediction_requested": 3, "prediction_cooldown": 1}


def test_counts_and_dead_rows_sum_to_the_predictions() -> None:
    rows = [
        prediction(k, probability_up=(k % 11) / 10, quote_valid=k % 3 > 0, instrument=name)
        for k in range(200)
        for name in (SPOT, PERP, "nowhere:X")
    ]
    rows[17]["probability_up"] = math.nan

    output = run(rows)

    assert sum(output.counts.values()) + len(output.dead) == len(rows)


def test_restart_in_the_middle_changes_nothing() -> None:
    rows = [prediction(k, receive_time_ns=START_NS + k * 100_000_000) for k in range(1, 40)]
    whole = rows_of(run(rows), topics.ORDER_REQUEST)
    before = TABLE.open()
    first = rows_of(run(rows[:20], before), topics.ORDER_REQUEST)
    after = TABLE.open()
    after.restore({key: page for key, page in before.changes().items() if page})

    rest = rows_of(run(rows[15:], after), topics.ORDER_REQUEST)

    assert first + rest == whole


def test_order_is_never_worth_more_than_the_rule_says() -> None:
    rule = DecisionRule(order_notional_e8=777 * E8, quantity_step_lots=1)

    (request,) = rows_of(run([prediction(1)], rule=rule), topics.ORDER_REQUEST)

    assert request.quantity_lots * request.limit_price_ticks <= 777 * 10**16
    assert (request.quantity_lots + 1) * request.limit_price_ticks > 777 * 10**16


@pytest.mark.parametrize(
    "changed",
    [
        {"threshold": 0.0},
        {"threshold": 1.1},
        {"margin": 0.0},
        {"order_notional_e8": 0},
        {"quantity_step_lots": 0},
        {"tolerance_bps": -1},
        {"cooldown_ns": -1},
        {"account": ""},
    ],
)
def test_rule_that_could_not_decide_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="DecisionRule"):
        DecisionRule(**changed)


def test_empty_batch_says_nothing() -> None:
    assert not run([]).counts
