"""A backtest of the trading graph on a small simulated market: what its report says."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.trading.decision import DecisionRule
from headrace import Entries, Ledger, Proof, Topology
from headrace.backtest.compare import compare, is_same, read_report
from headrace.backtest.figures import Digests
from headrace.backtest.folder import write_folder
from headrace.backtest.run import Backtest, as_json, run_backtest
from headrace.byte_column import ByteColumn, column_of
from headrace.cli.backtest import _differences, _own_feed
from headrace.errors import TopologyError, UsageError
from headrace.feed import FeedOptions
from headrace.testing import TestDriver
from schemas import topics
from schemas.instruments import instrument_of
from tests.local_graphs import PROJECT
from topologies._ledger import quote_unit, settlement_unit
from topologies.trading import TOPOLOGY

FEED = "sim:1?events=600&seed=7&start=1700000000000000000"


def backtest(folder: Path, topology: Topology = TOPOLOGY, feed: str = FEED) -> Mapping[str, Any]:
    """Run a backtest, write its folder, return its report."""
    opened = topology.source.open(feed, FeedOptions())
    found: Backtest = run_backtest(PROJECT, topology, opened, lambda _frames, _ms: None)
    report = as_json(found, opened, feed)
    write_folder(folder, found, report)
    return report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("backtest")
    backtest(found)
    return found


@pytest.fixture(scope="module")
def report(folder: Path) -> Mapping[str, Any]:
    return read_report(folder)


@pytest.fixture
def driver() -> TestDriver:
    driver = TestDriver(TOPOLOGY, project=PROJECT)
    driver.feed(FEED)
    return driver


def test_a_backtest_does_what_the_test_driver_does(
    report: Mapping[str, Any], driver: TestDriver
) -> None:
    assert report["counts"] == driver.counts
    assert {name: one["records"] for name, one in report["topics"].items()} == {
        topic.name: driver.records[topic.name] for topic in TOPOLOGY.topics
    }
    assert report["frames"] == driver.records[topics.FRAME.name] > 0
    digests = Digests()
    for topic in TOPOLOGY.topics:
        for part in driver.read_parts(topic):
            digests.add(topic.name, part.partition, ByteColumn(column_of(part.values)))
    found = {name: one["digest"] for name, one in report["topics"].items() if one["records"]}
    assert found == digests.by_topic()


def test_the_ledger_adds_up_to_what_the_topics_hold(
    report: Mapping[str, Any], folder: Path, driver: TestDriver
) -> None:
    events = driver.read(topics.ORDER_EVENT).to_pylist()
    positions = driver.read(topics.POSITION).to_pylist()
    fills = [event for event in events if event["fill_lots"]]
    figures = report["ledger"]
    (unit,) = figures["profit"]

    assert figures["fills"] == len(fills) > 0
    assert figures["orders"] == len({event["client_order_id"] for event in events})
    assert figures["fees"] == {unit: sum(event["fill_fee_e8"] for event in fills) / 1e8}
    assert figures["profit"][unit]["last"] == positions[-1]["profit_e8"] / 1e8
    rate = figures["hit_rate"]
    assert sum(rate[k] for k in ("hits", "misses", "unmoved", "unknown")) == len(fills)
    orders = pq.read_table(folder / "orders.parquet")
    assert orders.num_rows == figures["orders"]
    assert sum(orders.column("fills").to_pylist()) == len(fills)
    assert (folder / "orders.csv").read_text().count("\n") == orders.num_rows + 1


def test_the_page_needs_nothing_from_elsewhere_and_shows_the_figures(folder: Path) -> None:
    text = (folder / "report.html").read_text()

    assert "PnL" in text
    assert "probability_up" in text
    assert text.count("<svg") >= 5
    assert "src=" not in text
    assert "href=" not in text


def test_the_same_run_twice_differs_in_nothing(folder: Path, tmp_path: Path) -> None:
    backtest(tmp_path)

    found = compare(tmp_path, folder)

    assert is_same(found), found
    assert found["orders"]["changed"] == 0


def test_what_differs_is_named(folder: Path, tmp_path: Path) -> None:
    """The same market, but a choosier rule."""
    choosy = replace(TOPOLOGY.step("decision"), parameters={"rule": DecisionRule(threshold=0.9)})
    steps = tuple(choosy if step.name == choosy.name else step for step in TOPOLOGY.steps)
    backtest(tmp_path, replace(TOPOLOGY, steps=steps))

    found = compare(tmp_path, folder)

    assert not is_same(found)
    assert "order.event.v1" in found["topics"]
    assert "market.trade.v1" not in found["topics"]
    mine, others = found["figures"]["ledger/fills"]
    assert mine < others
    assert found["orders"]["only_in_other"] > 0
    assert _differences(found).row_count > 3


def test_a_topology_without_a_ledger_has_the_general_part_alone(tmp_path: Path) -> None:
    general = backtest(tmp_path, replace(TOPOLOGY, ledger=None))

    assert "ledger" not in general
    assert general["distributions"]["signal.prediction.v1"]["probability_up"]["count"] > 0
    assert not (tmp_path / "orders.csv").exists()
    assert "PnL" not in (tmp_path / "report.html").read_text()


def test_what_no_step_writes_is_not_in_the_report(tmp_path: Path) -> None:
    steps = tuple(step for step in TOPOLOGY.steps if step.name not in {"execution", "venue"})

    found = backtest(tmp_path, replace(TOPOLOGY, steps=steps))

    assert found["ledger"] == {}
    assert not (tmp_path / "orders.parquet").exists()


def test_entries_of_another_kind_are_refused(tmp_path: Path) -> None:
    wrong = Entries(topics.POSITION, lambda _: pa.record_batch({"x": [1]}))

    with pytest.raises(
        TopologyError, match=r"ledger entries of position\.v1: expected the columns"
    ):
        backtest(tmp_path, replace(TOPOLOGY, ledger=Ledger(positions=wrong)))


def test_a_graph_without_a_feed_that_ends_asks_for_one() -> None:
    assert _own_feed(TOPOLOGY).startswith("sim:8?")
    with pytest.raises(UsageError, match="name one with --feed"):
        _own_feed(replace(TOPOLOGY, proof=Proof()))


def test_a_folder_without_a_report_is_no_backtest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected the folder of a backtest"):
        read_report(tmp_path)


def test_a_report_is_plain_data(folder: Path) -> None:
    text = (folder / "report.json").read_text()

    assert "NaN" not in text
    assert json.loads(text)["dead_letters"] == []


@pytest.mark.parametrize(
    ("instrument", "quoted", "settled"),
    [
        ("binance-spot:BTCUSDT", "USDT", "USDT"),
        ("binance-coinm:BTCUSD_PERP", "USD", "BTC"),
        ("coinbase:ETH-EUR", "EUR", "EUR"),
        ("kraken:XBT/USD", "USD", "USD"),
        ("sim:SIM01", "quote of SIM01", "quote of SIM01"),
    ],
)
def test_units_are_currencies_where_they_are_known(
    instrument: str, quoted: str, settled: str
) -> None:
    found = instrument_of(instrument)

    assert (quote_unit(found), settlement_unit(found)) == (quoted, settled)
