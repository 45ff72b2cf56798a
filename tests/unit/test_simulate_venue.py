"""The paper venue's rules: arrival, touch, size, fees, what it refuses, what it remembers."""

from typing import Any

import msgspec
import pytest

from agents.simulate_venue import SLICE_RECORDS, TABLE, simulate_venue, venue_table
from agents.trading.paper_venue import (
    DONE_PAGE_KEYS,
    DONE_PAGES,
    WAITING_ORDERS_MAX,
    PaperVenueRules,
)
from agents.trading.records import VenueOrder
from headrace import Output
from schemas import topics
from tests.trading_batches import (
    ASK_TICKS,
    BID_TICKS,
    PERP,
    START_NS,
    VENUE_READS,
    merged,
    quote,
    rows_of,
    venue_order,
)

RULES = PaperVenueRules(latency_ns=10, participation_bps=10_000, quote_age_max_ns=1_000)
LOTS = 10**6


def run(arrivals: list[Any], state: Any = None, rules: PaperVenueRules = RULES) -> Output:
    state = TABLE.open() if state is None else state
    batch = merged(VENUE_READS, [(int(not isinstance(r, VenueOrder)), r) for r in arrivals])
    return simulate_venue(batch, state, rules)


def at(after_ns: int, sequence: int | None = None, **changed: Any) -> dict[str, Any]:
    return quote(after_ns + 1 if sequence is None else sequence, START_NS + after_ns, **changed)


def kinds(output: Output) -> list[tuple[int, str, int, str]]:
    return [
        (each.report_sequence, each.kind, each.quantity_lots, each.reason)
        for each in rows_of(output, topics.VENUE_REPORT)
    ]


def test_order_meets_the_quote_that_prevails_when_it_arrives() -> None:
    higher = {"ask_price_ticks": ASK_TICKS - 5}

    output = run([at(0), at(10, **higher), at(11), venue_order(1, START_NS)])

    acknowledged, filled = rows_of(output, topics.VENUE_REPORT)
    assert (acknowledged.report_sequence, acknowledged.kind) == (1, "ACKNOWLEDGED")
    assert (filled.report_sequence, filled.kind, filled.quantity_lots) == (2, "FILLED", LOTS)
    assert (filled.price_ticks, filled.quote_sequence) == (ASK_TICKS - 5, 11)
    assert filled.venue_time_ns == START_NS + 10


def test_order_waits_until_a_quote_after_its_arrival_was_seen() -> None:
    state = TABLE.open()

    waiting = run([at(0), at(10), venue_order(1, START_NS)], state)
    answered = run([at(11)], state)

    assert waiting.counts == {"quote_recorded": 2, "order_accepted": 1}
    assert [kind for _, kind, _, _ in kinds(answered)] == ["ACKNOWLEDGED", "FILLED"]
    assert answered.counts == {"quote_recorded": 1, "answer_filled": 1}


def test_fee_is_rounded_up() -> None:
    rules = PaperVenueRules(latency_ns=0, fee_rate_any_e8=100_001)

    output = run([at(0), at(1), venue_order(1, START_NS, quantity_lots=1)], rules=rules)

    assert rows_of(output, topics.VENUE_REPORT)[1].fee_e8 == -(-60_001 * 100_001 // 10**8)


def test_inverse_fee_is_in_base_currency_and_fills_are_whole_contracts() -> None:
    rules = PaperVenueRules(latency_ns=0, participation_bps=5_000)
    quotes = [at(k, instrument=PERP, ask_size_lots=7 * 10**8) for k in (0, 1)]

    output = run(
        [*quotes, venue_order(1, START_NS, instrument=PERP, quantity_lots=10 * 10**8)], rules=rules
    )

    filled = rows_of(output, topics.VENUE_REPORT)[1]
    assert filled.quantity_lots == 3 * 10**8
    # 3 contracts of 100 at 60,001 is 0.00499991667 BTC; 5 bps of it, rounded up twice.
    assert filled.fee_e8 == 250


def test_touch_size_limits_a_fill_and_the_rest_is_canceled() -> None:
    output = run([at(0, ask_size_lots=400_000), at(11), venue_order(1, START_NS)])

    assert kinds(output) == [
        (1, "ACKNOWLEDGED", 0, ""),
        (2, "FILLED", 400_000, ""),
        (3, "CANCELED", 600_000, "immediate_or_cancel"),
    ]


def test_orders_share_what_a_quote_shows_and_each_side_apart() -> None:
    sale = {"side": "SELL", "limit_price_ticks": BID_TICKS}
    orders = [
        venue_order(1, START_NS),
        venue_order(2, START_NS),
        venue_order(3, START_NS),
        venue_order(4, START_NS, **sale),
    ]
    shown = {"ask_size_lots": 3_000_001, "bid_size_lots": 3_000_000}
    rules = PaperVenueRules(latency_ns=10, participation_bps=5_000)

    output = run([at(0, **shown), at(11), *orders], rules=rules)

    fills = [lots for _, kind, lots, _ in kinds(output) if kind == "FILLED"]
    assert fills == [LOTS, 500_000, LOTS]
    assert kinds(output)[5:7] == [(1, "ACKNOWLEDGED", 0, ""), (2, "CANCELED", LOTS, "no_size")]


@pytest.mark.parametrize(
    ("quotes", "changed", "reason"),
    [
        ([at(1_011)], {}, "quote_missing"),
        ([at(11)], {}, "quote_missing"),
        ([at(0, bid_price_ticks=ASK_TICKS + 1), at(11)], {}, "quote_crossed"),
        ([at(0, bid_price_ticks=0), at(11)], {}, "quote_invalid"),
        ([at(0), at(2_000)], {"send_time_ns": START_NS + 991}, "quote_stale"),
        ([at(0), at(11)], {"quantity_lots": 0}, "order_invalid"),
        ([at(0), at(11)], {"side": "HOLD"}, "order_invalid"),
    ],
)
def test_order_that_no_quote_can_meet_is_rejected(
    quotes: list[Any], changed: dict[str, Any], reason: str
) -> None:
    order = msgspec.structs.replace(venue_order(1, START_NS), **changed)

    output = run([*quotes, order])

    assert kinds(output) == [(1, "REJECTED", order.quantity_lots, reason)]


@pytest.mark.parametrize(("side", "limit"), [("BUY", ASK_TICKS - 1), ("SELL", BID_TICKS + 1)])
def test_order_that_is_not_marketable_is_canceled(side: str, limit: int) -> None:
    order = venue_order(1, START_NS, side=side, limit_price_ticks=limit)

    output = run([at(0), at(11), order])

    assert kinds(output)[1:] == [(2, "CANCELED", LOTS, "not_marketable")]


def test_order_of_an_unknown_instrument_is_rejected() -> None:
    output = run([venue_order(1, START_NS, instrument="nowhere:X"), at(0, instrument="nowhere:X")])

    assert kinds(output) == [(1, "REJECTED", LOTS, "instrument_unknown")]
    assert output.counts == {"order_refused": 1, "quote_instrument_unknown": 1}


def test_history_that_no_longer_covers_the_arrival_never_guesses_a_price() -> None:
    state = venue_table(256).open()
    run([at(k) for k in range(300)], state)

    output = run([venue_order(1, START_NS + 33), venue_order(2, START_NS + 34)], state)

    assert kinds(output)[0] == (1, "REJECTED", LOTS, "quote_history_exceeded")
    assert kinds(output)[2][1] == "FILLED"
    assert rows_of(output, topics.VENUE_REPORT)[2].quote_sequence == 45


def test_repeated_order_gets_the_same_answer_and_no_second_fill() -> None:
    state = TABLE.open()
    order = venue_order(1, START_NS)

    first = run([at(0, ask_size_lots=LOTS), order, order, at(11)], state)
    again = run([order, venue_order(2, START_NS)], state)

    reports = rows_of(first, topics.VENUE_REPORT)
    assert reports[:2] == reports[2:]
    assert rows_of(again, topics.VENUE_REPORT)[:2] == reports[:2]
    assert kinds(again)[3][3] == "no_size"
    assert first.counts["answer_repeated"] == again.counts["answer_repeated"] == 1


def test_order_older_than_what_is_remembered_is_rejected_rather_than_filled_twice() -> None:
    state = TABLE.open()
    count = DONE_PAGES * DONE_PAGE_KEYS
    run([at(k * 20) for k in range(count + 4)], state)
    orders = [venue_order(k + 1, START_NS + k * 20) for k in range(count + 1)]
    for start in range(0, len(orders), WAITING_ORDERS_MAX):
        run(orders[start : start + WAITING_ORDERS_MAX], state)

    output = run([orders[0], orders[1]], state)

    assert kinds(output)[0] == (1, "REJECTED", LOTS, "answer_forgotten")
    assert kinds(output)[2][1] == "FILLED"


def test_waiting_orders_are_bounded() -> None:
    orders = [venue_order(k, START_NS) for k in range(WAITING_ORDERS_MAX + 1)]

    output = run([*orders, orders[0]])

    assert kinds(output) == [(1, "REJECTED", LOTS, "waiting_orders_limit")]
    assert output.counts == {
        "order_accepted": WAITING_ORDERS_MAX,
        "order_refused": 1,
        "order_repeated": 1,
    }


def test_repeated_quotes_and_times_running_backwards_are_not_recorded() -> None:
    state = TABLE.open()
    run([at(5), at(6)], state)

    output = run([at(5), at(6), at(7, sequence=20), at(3, sequence=21), at(7, sequence=22)], state)

    assert output.counts == {"quote_duplicate": 2, "quote_recorded": 2}
    assert [(row.part, row.row, row.cause) for row in output.dead] == [
        (1, 3, "quote_time_backwards")
    ]


def test_restart_in_the_middle_changes_nothing() -> None:
    arrivals = []
    for k in range(700):
        arrivals.append(at(k))
        if k % 7 == 0:
            arrivals.append(venue_order(k, START_NS + k - 20))
    batches = [arrivals[start : start + 50] for start in range(0, len(arrivals), 50)]
    straight = venue_table(256).open()
    whole = [row for rows in batches for row in rows_of(run(rows, straight), topics.VENUE_REPORT)]
    state = venue_table(256).open()
    pages = {}
    reports = []

    for rows in batches:
        reports += rows_of(run(rows, state), topics.VENUE_REPORT)
        pages |= state.changes()
        state = venue_table(256).open()
        state.restore({key: page for key, page in pages.items() if page is not None})

    assert reports == whole


def test_what_was_taken_of_a_quote_survives_a_restart() -> None:
    before = TABLE.open()
    run([at(k, ask_size_lots=LOTS) for k in (0, 11)], before)
    pages = before.changes()
    run([venue_order(1, START_NS)], before)
    pages |= before.changes()
    after = TABLE.open()

    after.restore({key: page for key, page in pages.items() if page is not None})
    output = run([venue_order(2, START_NS)], after)

    assert kinds(output)[1] == (2, "CANCELED", LOTS, "no_size")


def test_commit_after_a_few_quotes_writes_one_small_page() -> None:
    state = TABLE.open()
    run([at(k) for k in range(5_000)], state)
    full = state.changes()

    run([at(k) for k in range(5_000, 5_010)], state)
    pages = state.changes()

    assert max(len(page) for page in full.values() if page) <= 8 * 1_024 + 8
    assert len(pages) == 1


def test_batch_longer_than_a_slice_keeps_orders_beside_their_quotes() -> None:
    arrivals = [at(k) for k in range(3 * SLICE_RECORDS)]
    arrivals.insert(100, venue_order(1, START_NS + 50))

    output = run(arrivals, venue_table(SLICE_RECORDS * 2).open())

    assert kinds(output)[1][1] == "FILLED"
    assert output.counts["quote_recorded"] == 3 * SLICE_RECORDS


def test_instruments_do_not_share_quotes() -> None:
    output = run([at(0), at(11), venue_order(1, START_NS, instrument="binance-spot:ETHUSDT")])

    assert output.counts == {"quote_recorded": 2, "order_accepted": 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"latency_ns": -1},
        {"participation_bps": 0},
        {"participation_bps": 10_001},
        {"fee_rate_any_e8": -1},
        {"fee_rate_e8": {"x": 10**8}},
    ],
)
def test_rules_that_make_no_sense_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="PaperVenueRules"):
        PaperVenueRules(**changed)
