"""A step with a lookup in the test driver: rows in every partition, removed, kept over a crash."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import TopologyError, UsageError
from headrace.project import Project
from headrace.testing import TestDriver
from headrace.topology import Sink, Step, Topic, Topology
from tests.sample_project import as_only_project

PROJECT = Path(__file__).resolve().parents[1] / "projects" / "enrich"
TRADE, INSTRUMENT, PRICED = "sample.trade.v1", "reference.instrument.v1", "sample.priced.v1"


@pytest.fixture
def driver() -> Iterator[TestDriver]:
    with as_only_project():
        yield TestDriver("enrich", project=PROJECT)


def trade(number: int, instrument: str = "BTC") -> dict[str, Any]:
    return {"number": number, "venue": "sim", "instrument": instrument, "price_ticks": 100}


def row(instrument: str, tick_nanos: int, desk: str | None = None) -> dict[str, Any]:
    return {"venue": "sim", "instrument": instrument, "tick_nanos": tick_nanos, "desk": desk}


def ticks(driver: TestDriver) -> dict[int, int]:
    rows = driver.read(PRICED).to_pylist()
    return {row["number"]: row["tick_nanos"] for row in rows}


def test_every_partition_has_all_rows(driver: TestDriver) -> None:
    driver.pipe(INSTRUMENT, [row("BTC", 10), row("ETH", 20, "alts")])

    driver.pipe(TRADE, [trade(n, "BTC" if n % 2 else "ETH") for n in range(20)])

    assert ticks(driver) == {n: 10 if n % 2 else 20 for n in range(20)}
    assert driver.records[INSTRUMENT] == 3 * 2


def test_a_record_sees_the_row_as_of_its_arrival(driver: TestDriver) -> None:
    for tick in (1, 2):
        driver.pipe(INSTRUMENT, row("BTC", tick))
        driver.pipe(TRADE, trade(tick))

    assert ticks(driver) == {1: 1, 2: 2}


def test_a_row_that_is_gone_is_missing_and_the_letter_says_which(driver: TestDriver) -> None:
    driver.pipe(INSTRUMENT, [row("BTC", 1), row("ETH", 2)])
    driver.remove(INSTRUMENT, ["sim/BTC"])

    driver.pipe(TRADE, [trade(1, "BTC"), trade(2, "ETH")])

    assert ticks(driver) == {2: 2}
    (letter,) = driver.dead(TRADE).to_pylist()
    assert letter["cause"] == "missing"
    assert "'sim/BTC'" in letter["detail"]
    assert driver.counts["price.missing"] == 1


def test_rows_survive_a_crash_and_what_was_not_committed_comes_again(driver: TestDriver) -> None:
    driver.pipe(INSTRUMENT, [row("BTC", 1), row("ETH", 2)])
    driver.remove(INSTRUMENT, ["sim/ETH"], commit=False)
    driver.pipe(INSTRUMENT, row("BTC", 7), commit=False)

    driver.crash()
    driver.restore()
    driver.pipe(TRADE, [trade(1, "BTC"), trade(2, "ETH")])

    assert ticks(driver) == {1: 7}
    assert driver.dead(TRADE).num_rows == 1


def test_restored_rows_equal_those_that_never_went(driver: TestDriver) -> None:
    driver.pipe(INSTRUMENT, [row(f"I{n}", n) for n in range(300)])
    driver.remove(INSTRUMENT, [f"sim/I{n}" for n in range(0, 300, 3)])
    driver.pipe(INSTRUMENT, [row(f"J{n}", n) for n in range(50)])

    driver.crash()
    driver.restore()
    driver.pipe(TRADE, [trade(n, f"I{n}") for n in range(300)])
    driver.pipe(TRADE, [trade(1_000 + n, f"J{n}") for n in range(50)])

    kept = {n: n for n in range(300) if n % 3}
    assert ticks(driver) == kept | {1_000 + n: n for n in range(50)}


def test_rows_are_removed_from_reference_topics_only(driver: TestDriver) -> None:
    with pytest.raises(UsageError, match="reference=True"):
        driver.remove(TRADE, ["1"])


def changed(**changes: Any) -> Topology:
    """Return the topology with its step or its sinks changed."""
    found = Project(PROJECT).topology("enrich")
    (step,) = found.steps
    sinks = changes.pop("sinks", ())
    fields = {name: getattr(step, name) for name in Step.__slots__} | changes
    return Topology("enrich", found.source, (Step(**fields),), sinks=sinks)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (lambda a, b: {"reads": (b, a)}, "the stream first"),
        (lambda *_: {"merge": ("instrument",)}, "no merge"),
        (lambda _, b: {"writes": (b,)}, "writes reference.instrument.v1"),
        (lambda _, b: {"sinks": (Sink("postgres", (b,)),)}, "sink postgres"),
    ],
)
def test_a_reference_topic_where_its_rows_would_not_be_all_is_refused(
    driver: TestDriver, changes: Any, said: str
) -> None:
    topics: dict[str, Topic] = {topic.name: topic for topic in driver.topology.topics}

    with pytest.raises(TopologyError, match=said):
        changed(**changes(topics[TRADE], topics[INSTRUMENT]))
