"""The whole chain in process: every order event walks back to the prediction that caused it."""

import random
from typing import Any

import pytest

from agents.trading.identity import approval_id_of, client_order_id_of, request_id_of
from agents.trading.order_state import END_STATES
from agents.trading.paper_venue import PaperVenueRules
from agents.trading.records import AccountControl
from headrace import Topic
from schemas import topics
from tests.trading_batches import (
    BID_TICKS,
    PERP,
    SECOND_NS,
    SPOT,
    START_NS,
    Chain,
    prediction,
    quote,
)

STEP_NS = 50_000_000
TICK = 10**8


def market(steps: int, seed: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return by step a quote for each instrument and a prediction made on it."""
    chance = random.Random(seed)  # noqa: S311 (a market, not a secret)
    price = {SPOT: BID_TICKS, PERP: BID_TICKS + 7 * TICK}
    found = []
    for step in range(1, steps + 1):
        for name, last in price.items():
            price[name] = last + chance.randint(-3, 3) * TICK
            time_ns = START_NS + step * STEP_NS
            sides = {
                "instrument": name,
                "bid_price_ticks": price[name],
                "ask_price_ticks": price[name] + chance.randint(1, 2) * TICK,
                "bid_size_lots": chance.randint(0, 5) * 10**6 * (100 if name == PERP else 1),
                "ask_size_lots": chance.randint(0, 5) * 10**6 * (100 if name == PERP else 1),
            }
            up = chance.random()
            found.append(
                (
                    quote(2 * step, time_ns, **sides),
                    prediction(
                        2 * step + 1,
                        receive_time_ns=time_ns + 1_000,
                        quote_time_ns=time_ns - chance.choice([0, SECOND_NS]),
                        probability_up=up,
                        probability_down=1 - up,
                        **sides,
                    ),
                )
            )
    return found


@pytest.fixture(scope="module")
def chain() -> Chain:
    walked = Chain(venue=PaperVenueRules(latency_ns=STEP_NS // 2))
    for seen, made in market(2_000, seed=7):
        walked.quote([seen])
        walked.predict([made])
    return walked


def test_every_order_event_traces_to_the_prediction_that_caused_it(chain: Chain) -> None:
    requests = {each.request_id: each for each in chain.written[topics.ORDER_REQUEST.name]}
    approvals = {each.approval_id: each for each in chain.written[topics.ORDER_APPROVED.name]}
    predictions = {
        (made["instrument"], made["source"], made["sequence"]): made
        for _, made in market(2_000, seed=7)
    }
    events = chain.written[topics.ORDER_EVENT.name]

    assert len(events) > 500
    for event in events:
        approved = approvals[event.approval_id]
        asked = requests[approved.request_id]
        made = predictions[asked.instrument, asked.source, asked.signal_sequence]
        signal = (event.account, event.strategy, event.instrument, made["source"], made["sequence"])
        assert event.client_order_id == client_order_id_of(*signal)
        assert event.request_id == asked.request_id == request_id_of(*signal)
        assert event.approval_id == approval_id_of(asked, expire_time_ns=approved.expire_time_ns)
        assert asked.request_time_ns == made["receive_time_ns"]


def test_one_order_a_signal_and_nothing_after_its_end(chain: Chain) -> None:
    sent = [each.client_order_id for each in chain.written[topics.VENUE_ORDER.name]]
    ended = set()

    for event in chain.written[topics.ORDER_EVENT.name]:
        assert event.client_order_id not in ended
        assert 0 <= event.filled_lots <= event.quantity_lots
        if event.state in END_STATES:
            ended.add(event.client_order_id)

    assert len(sent) == len(set(sent))
    assert len(sent) - len(ended) <= 2


def test_positions_are_the_sum_of_fills_and_fills_the_venues(chain: Chain) -> None:
    last = {each.instrument: each for each in chain.written[topics.POSITION.name]}
    for name, position in last.items():
        events = [e for e in chain.written[topics.ORDER_EVENT.name] if e.instrument == name]
        fills = [
            each
            for each in chain.written[topics.VENUE_REPORT.name]
            if each.instrument == name and each.kind == "FILLED"
        ]
        signed = [e.fill_lots if e.side == "BUY" else -e.fill_lots for e in events]
        assert position.quantity_lots == sum(signed)
        assert position.cash_e8 == sum(e.cash_delta_e8 for e in events)
        assert position.fees_e8 == sum(each.fee_e8 for each in fills)
        assert position.fill_count == len(fills)
        assert sum(e.fill_lots for e in events) == sum(each.quantity_lots for each in fills)
        risk = chain.risk_state.read("paper").instruments.read(name)
        assert risk.position_lots == position.quantity_lots
    assert set(last) == {SPOT, PERP}


def test_requests_are_approved_and_rejected_by_several_checks(chain: Chain) -> None:
    checks = {each["check"] for each in chain.written[topics.ORDER_REJECTED.name]}

    assert chain.counts["request_approved"] > 100
    assert {"max_position", "quote_stale"} <= checks
    assert not chain.dead


def test_counts_of_each_step_sum_to_what_it_read(chain: Chain) -> None:
    def total(prefix: str) -> int:
        return sum(count for name, count in chain.counts.items() if name.startswith(prefix))

    def written(topic: Topic) -> int:
        return len(chain.written[topic.name])

    assert total("prediction_") == total("quote_") == 4_000
    assert total("request_") == written(topics.ORDER_REQUEST)
    assert total("approval_") == written(topics.ORDER_APPROVED)
    assert total("order_") == written(topics.VENUE_ORDER)
    assert total("report_") == written(topics.VENUE_REPORT)
    assert total("event_") == written(topics.ORDER_EVENT)


def test_halted_account_sends_nothing_more() -> None:
    walked = Chain()
    walked.quote([quote(1, START_NS)])
    walked.predict([prediction(2)])
    walked.control(AccountControl("paper", "HALTED", "drill", START_NS))

    walked.predict([prediction(k) for k in range(3, 9)])

    assert len(walked.written[topics.VENUE_ORDER.name]) == 1
    assert walked.counts["request_rejected_account_halted"] == 6


def test_second_recording_of_an_instrument_trades_beside_the_first() -> None:
    walked = Chain()
    walked.quote([quote(k, START_NS + k * SECOND_NS) for k in (900, 901, 903)])
    walked.predict([prediction(902)])

    # An earlier day under another name: its sequences and its clock begin again.
    earlier_ns = START_NS - 3_600 * SECOND_NS
    walked.quote([quote(1, earlier_ns, source="other")])
    walked.predict([prediction(2, source="other", receive_time_ns=earlier_ns + 1_000_000)])
    walked.quote([quote(3, earlier_ns + SECOND_NS, source="other")])

    assert walked.counts["approval_sent"] == 2
    assert walked.counts["answer_filled"] == 2
    assert walked.written[topics.POSITION.name][-1].fill_count == 2
    assert not walked.dead
