"""The paper exchange without its server: what it does with an order, and what it remembers."""

from pathlib import Path

import pytest

from agents.trading.paper_venue import PaperVenueRules
from gateways.paper_exchange.faults import FaultInjector, Faults
from gateways.paper_exchange.filling import reports_of
from gateways.paper_exchange.ledger import Ledger, Placed
from headrace.errors import UsageError
from tests.gateway_fakes import order

RULES = PaperVenueRules()
NOW_NS = 1_000
DELAY_S = 1.0
DUE_NS = NOW_NS + 10**9


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return reopened(tmp_path)


def reopened(folder: Path) -> Ledger:
    return Ledger(folder / "exchange.sqlite", rules=RULES, partial=0.0, fill_delay_s=DELAY_S)


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_order_is_filled_at_its_own_price(side: str) -> None:
    acknowledged, filled = reports_of(order(1, side=side), RULES, partial=0.0)

    assert (acknowledged.kind, filled.kind) == ("ACKNOWLEDGED", "FILLED")
    assert (filled.quantity_lots, filled.price_ticks, filled.report_sequence) == (10, 100, 2)


def test_partial_order_is_filled_half_and_its_rest_canceled() -> None:
    kinds = [(each.kind, each.quantity_lots) for each in reports_of(order(1), RULES, partial=1.0)]

    assert kinds == [("ACKNOWLEDGED", 0), ("FILLED", 5), ("CANCELED", 5)]


def test_order_of_an_unknown_market_is_rejected() -> None:
    (rejected,) = reports_of(order(1, instrument="nowhere:X"), RULES, partial=0.0)

    assert (rejected.kind, rejected.reason) == ("REJECTED", "instrument_unknown")


@pytest.mark.parametrize("quantity", [1, 2**62])
def test_any_quantity_has_an_answer(quantity: int) -> None:
    reports = reports_of(order(1, quantity_lots=quantity), RULES, partial=0.0)

    filled = sum(each.quantity_lots for each in reports if each.kind == "FILLED")
    ended = sum(each.quantity_lots for each in reports if each.kind == "CANCELED")
    assert filled + ended == quantity


def test_order_is_acknowledged_at_once_and_filled_when_it_is_due(ledger: Ledger) -> None:
    assert ledger.place(order(1), NOW_NS) is Placed.NEW
    assert len(ledger.reports("order-1")) == 1

    ledger.settle(DUE_NS - 1)
    assert len(ledger.reports("order-1")) == 1
    ledger.settle(DUE_NS)

    assert len(ledger.reports("order-1")) == 2
    ledger.close()


def test_same_order_again_changes_nothing(ledger: Ledger) -> None:
    ledger.place(order(1), NOW_NS)

    assert ledger.place(order(1), NOW_NS) is Placed.REPEATED
    assert ledger.place(order(1, quantity_lots=11), NOW_NS) is Placed.CONFLICTING
    ledger.settle(DUE_NS)
    assert len(ledger.reports("order-1")) == 2
    ledger.close()


def test_what_was_acknowledged_is_there_after_a_restart(ledger: Ledger, tmp_path: Path) -> None:
    ledger.place(order(1), NOW_NS)
    ledger.cancel("order-2")
    ledger.close()

    again = reopened(tmp_path)
    again.settle(DUE_NS)

    assert [each.number for each in again.reports("order-1")] == [1, 2]
    assert again.place(order(2), NOW_NS) is Placed.BLOCKED
    again.close()


def test_filled_order_is_not_changed_by_a_cancel(ledger: Ledger) -> None:
    ledger.place(order(1), NOW_NS)
    ledger.settle(DUE_NS)
    before = ledger.reports("order-1")

    ledger.cancel("order-1")

    assert ledger.reports("order-1") == before
    ledger.close()


def test_executions_are_numbered_without_gaps(ledger: Ledger) -> None:
    for number in range(3):
        ledger.place(order(number), NOW_NS)
    ledger.settle(DUE_NS)

    found, end = ledger.executions(2, 3)

    assert [each.number for each in found] == [3, 4, 5]
    assert end == 6
    ledger.close()


@pytest.mark.parametrize("text", ["drop=0.1", "delay=often", "delay=1.5", "delay"])
def test_faults_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--faults"):
        Faults.parse(text)


def test_disturbed_executions_are_all_there() -> None:
    injector = FaultInjector(Faults.parse("duplicate=1,reorder=1"), seed=3)
    items = list(range(20))

    found = injector.disturb(items)

    assert set(found) == set(items)
    assert len(found) > len(items)
    assert found != sorted(found)


def test_same_seed_draws_the_same_faults() -> None:
    drawn = [
        [FaultInjector(Faults(duplicate=0.5), seed).disturb([1, 2, 3]) for seed in range(20)]
        for _ in range(2)
    ]

    assert drawn[0] == drawn[1]
