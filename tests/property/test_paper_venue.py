"""The paper venue says the same however orders and quotes interleave and batches are cut."""

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.simulate_venue import TABLE, simulate_venue
from agents.trading.paper_venue import PaperVenueRules
from agents.trading.records import VenueOrder, VenueReport
from schemas import topics
from tests.examples import examples
from tests.trading_batches import (
    BID_TICKS,
    SPOT,
    START_NS,
    VENUE_READS,
    merged,
    quote,
    rows_of,
    venue_order,
)

RULES = PaperVenueRules(latency_ns=5, participation_bps=5_000, quote_age_max_ns=20)
OTHER = "binance-usdm:BTCUSDT"
LOTS = 10**6


@st.composite
def _flows(draw: Any) -> tuple[list[dict[str, Any]], list[VenueOrder]]:
    """Draw quotes in order of time, and orders in no order of time, some of them repeated."""
    gaps = draw(st.lists(st.integers(0, 9), min_size=1, max_size=25))
    time_ns, quotes = START_NS, []
    for place, gap in enumerate(gaps):
        time_ns += gap
        sides = {
            "instrument": draw(st.sampled_from([SPOT, OTHER])),
            "bid_price_ticks": BID_TICKS + draw(st.integers(-2, 2)),
            "ask_price_ticks": BID_TICKS + draw(st.integers(-1, 4)),
            "ask_size_lots": draw(st.integers(0, 6)) * LOTS,
        }
        quotes.append(quote(place + 1, time_ns, **sides))
    orders = [
        venue_order(
            draw(st.integers(1, 8)),
            START_NS + draw(st.integers(0, 60)),
            instrument=name,
            client_order_id=f"{name}{k if draw(st.booleans()) else 0}",
            side=draw(st.sampled_from(["BUY", "SELL"])),
            limit_price_ticks=BID_TICKS + draw(st.integers(-2, 4)),
            quantity_lots=draw(st.integers(1, 4)) * LOTS,
        )
        for k in range(draw(st.integers(0, 10)))
        for name in [draw(st.sampled_from([SPOT, OTHER]))]
    ]
    return quotes, orders


def answers(arrivals: list[Any], cuts: list[int], *, restart: bool) -> dict[str, list[VenueReport]]:
    """Return the reports by instrument, in the order in which they were written."""
    state, pages, found = TABLE.open(), {}, []
    edges = [0, *sorted(cuts), len(arrivals)]
    for start, end in itertools.pairwise(edges):
        output = simulate_venue(merged(VENUE_READS, arrivals[start:end]), state, RULES)
        found += rows_of(output, topics.VENUE_REPORT)
        if restart:
            pages |= state.changes()
            state = TABLE.open()
            state.restore({key: page for key, page in pages.items() if page is not None})
    return {name: [row for row in found if row.instrument == name] for name in (SPOT, OTHER)}


@settings(max_examples=examples(200), deadline=None)
@given(_flows(), st.data())
def test_answers_depend_on_neither_interleaving_nor_batch_cuts(
    flows: Any, data: st.DataObject
) -> None:
    quotes, orders = flows
    flags = data.draw(st.permutations([0] * len(orders) + [1] * len(quotes)))
    cuts = data.draw(st.lists(st.integers(0, len(flags)), max_size=6))
    rest = {0: iter(orders), 1: iter(quotes)}
    mixed = [(flag, next(rest[flag])) for flag in flags]
    quotes_first = [(1, row) for row in quotes] + [(0, row) for row in orders]
    orders_first = [(0, row) for row in orders] + [(1, row) for row in quotes]

    expected = answers(quotes_first, [], restart=False)

    assert answers(orders_first, [], restart=False) == expected
    assert answers(mixed, cuts, restart=True) == expected


@settings(max_examples=examples(100), deadline=None)
@given(_flows())
def test_fills_never_exceed_what_quotes_show_nor_what_was_ordered(flows: Any) -> None:
    quotes, orders = flows
    arrivals = [(1, row) for row in quotes] + [(0, row) for row in orders]

    for name, reports in answers(arrivals, [], restart=False).items():
        unique = {(each.client_order_id, each.report_sequence): each for each in reports}
        taken = {}
        for each in unique.values():
            if each.kind == "FILLED":
                key = (each.quote_sequence, each.side)
                taken[key] = taken.get(key, 0) + each.quantity_lots
        shown = {row["sequence"]: row for row in quotes if row["instrument"] == name}
        for (sequence, side), lots in taken.items():
            size = shown[sequence]["ask_size_lots" if side == "BUY" else "bid_size_lots"]
            assert lots <= size // 2
