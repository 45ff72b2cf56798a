"""Any reports in any order: end states absorb, filled <= quantity, position = sum of fills."""

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.execute_orders import TABLE, execute_orders
from agents.trading.order_state import END_STATES
from agents.trading.records import VenueReport
from headrace import Output, Topic
from schemas import topics
from tests.examples import examples
from tests.trading_batches import ASK_TICKS, EXECUTE_READS, merged, rows_of
from tests.unit.test_execute_orders import LOTS, PARTS, approval, report

SENT = [approval(1), approval(2, side="SELL", limit_price_ticks=1_000)]


def _report(order: int, sequence: int, kind: str, lots: int, ticks: int) -> VenueReport:
    return report(SENT[order], sequence, kind, lots, ticks)


REPORTS = st.builds(
    _report,
    st.integers(0, 1),
    st.integers(1, 8),
    st.sampled_from(["ACKNOWLEDGED", "FILLED", "FILLED", "FILLED", "CANCELED", "REJECTED"]),
    st.integers(1, LOTS * 2 // 3),
    st.integers(ASK_TICKS - 5, ASK_TICKS + 5),
)


def feed(arrivals: list[Any], cuts: list[int]) -> list[Output]:
    """Return the outputs of these arrivals cut into batches, restarting at every cut."""
    state, pages, outputs = TABLE.open(), {}, []
    edges = [0, *sorted(cuts), len(arrivals)]
    for start, end in itertools.pairwise(edges):
        rows = [(PARTS[type(row)], row) for row in arrivals[start:end]]
        outputs.append(execute_orders(merged(EXECUTE_READS, rows), state))
        pages |= state.changes()
        state = TABLE.open()
        state.restore({key: page for key, page in pages.items() if page is not None})
    return outputs


def written(outputs: list[Output], topic: Topic) -> list[Any]:
    return [row for output in outputs for row in rows_of(output, topic)]


@settings(max_examples=examples(150), deadline=None)
@given(st.data(), st.lists(REPORTS, max_size=40))
def test_any_reports_keep_the_invariants(data: st.DataObject, reports: list[Any]) -> None:
    arrivals = [*SENT, *reports]
    cuts = data.draw(st.lists(st.integers(0, len(arrivals)), max_size=3))

    outputs = feed(arrivals, cuts)

    events = written(outputs, topics.ORDER_EVENT)
    last = {}
    for event in events:
        before = last.get(event.client_order_id)
        assert before is None or before.state not in END_STATES
        assert event.event_sequence == (before.event_sequence + 1 if before else 1)
        filled = before.filled_lots if before else 0
        assert event.filled_lots == filled + event.fill_lots <= event.quantity_lots
        assert (event.state == "FILLED") == (event.filled_lots == event.quantity_lots)
        last[event.client_order_id] = event
    positions = written(outputs, topics.POSITION)
    if positions:
        signed = [e.fill_lots if e.side == "BUY" else -e.fill_lots for e in events]
        assert positions[-1].quantity_lots == sum(signed)
        assert positions[-1].cash_e8 == sum(e.cash_delta_e8 for e in events)
    counted = sum(
        count
        for output in outputs
        for name, count in output.counts.items()
        if name.startswith(("report_", "approval_"))
    )
    assert counted + sum(len(output.dead) for output in outputs) == len(arrivals)


@st.composite
def _one_life(draw: Any) -> tuple[list[VenueReport], list[VenueReport]]:
    """Draw the reports of an order as a venue sends them, and a shuffling with repeats."""
    fills = draw(st.lists(st.integers(1, LOTS // 5), max_size=5))
    end = draw(st.sampled_from(["CANCELED", ""]))
    kinds = [("ACKNOWLEDGED", 0), *(("FILLED", lots) for lots in fills)]
    if end:
        kinds.append((end, LOTS - sum(fills)))
    straight = [report(SENT[0], k + 1, kind, lots) for k, (kind, lots) in enumerate(kinds)]
    repeats = draw(st.lists(st.sampled_from(straight), max_size=6))
    return straight, draw(st.permutations(straight + repeats))


@settings(max_examples=examples(150), deadline=None)
@given(_one_life())
def test_repeats_and_reordering_change_nothing(life: Any) -> None:
    straight, shuffled = life

    expected = feed([SENT[0], *straight], [])
    found = feed([SENT[0], *shuffled], [])

    for topic in (topics.ORDER_EVENT, topics.POSITION):
        assert written(found, topic) == written(expected, topic)
