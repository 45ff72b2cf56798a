"""A topology under another name: the same records, in topics and groups of its own."""

import pytest

from headrace.cli.worker import _require_steps_only
from headrace.errors import TopologyError, UsageError
from headrace.project import Project
from headrace.runtime.assemble import Choice
from headrace.runtime.topics import changelog_topic, lane_name, plans
from headrace.testing import TestDriver
from headrace.topology import Topology
from headrace.versions.versioned import line, versioned
from tests.integration import peaks_run as peaks
from tests.repository_files import ROOT
from tests.sample_project import as_only_project

TICKS = [{"symbol": f"S{n % 3}", "price_ticks": n, "size_lots": 1 + n % 5} for n in range(300)]


@pytest.fixture
def candles() -> Topology:
    return Project(ROOT).topology("candles")


def test_version_reads_the_inputs_and_writes_topics_of_its_own(candles: Topology) -> None:
    found = versioned(candles, "next")

    assert [topic.name for topic in found.step("ingest").reads] == ["market.frame.v1"]
    assert [topic.name for topic in found.step("candles").reads] == ["market.trade.v1.next"]
    assert [topic.name for topic in found.step("rolling").writes] == [
        "candle.minute.v1.next", "candle.hour.v1.next",
    ]  # fmt: skip
    assert (found.sinks, found.gateways, found.panels) == ((), (), ())


def test_nothing_that_a_version_writes_is_the_main_lines(candles: Topology) -> None:
    """Groups, changelogs, outputs, dead letters: the inputs are all that both know."""
    found = versioned(candles, "next")
    mains = {plan.name for plan in plans(candles)}
    mine = {plan.name for plan in plans(found)}

    assert mains & mine == {"market.frame.v1", "headrace.feed-position.v1"}
    (run, *_) = Choice().runs(found)
    assert lane_name(found, run) == "headrace.candles.next.ingest"
    assert changelog_topic(found, run) == "headrace.candles.next.ingest.changelog"
    assert found.source.topic.dead == "market.frame.v1.next.dead"


def test_version_of_one_step_reads_what_the_main_line_writes(candles: Topology) -> None:
    found = versioned(candles, "next", ("rolling",))

    assert [step.name for step in found.steps] == ["rolling"]
    assert [topic.name for topic in found.steps[0].reads] == ["candle.second.v1"]


def test_version_writes_the_same_records_under_other_names() -> None:
    topology = peaks.topology()
    with as_only_project():
        both = [
            TestDriver(each, project=peaks.PROJECT) for each in (topology, versioned(topology, "b"))
        ]
        for driver in both:
            driver.pipe("sample.tick.v1", TICKS)
    main, version = both

    assert main.records["sample.peak.v1"] == 30
    assert version.read("sample.peak.v1.b").equals(main.read("sample.peak.v1"))
    assert version.records["sample.peak.v1"] == 0


def test_version_of_a_graph_with_a_gateway_has_none() -> None:
    found = versioned(Project(ROOT).topology("trading_gateway"), "next")

    assert found.gateways == ()
    assert found.control("halt").topic.name == "account.control.v1"
    assert [topic.name for topic in found.step("execution").writes] == [
        f"{name}.next" for name in ("venue.order.v1", "order.event.v1", "position.v1")
    ]


@pytest.mark.parametrize("name", ["", "V2", "a.b", "2", "main", "dead", "x" * 33, "a b"])
def test_name_that_cannot_be_is_refused(candles: Topology, name: str) -> None:
    with pytest.raises(UsageError, match="expected a lower-case letter"):
        versioned(candles, name)


def test_step_that_is_none_is_refused(candles: Topology) -> None:
    with pytest.raises(TopologyError, match="has no step 'x'"):
        versioned(candles, "next", ("x",))


def test_main_line_is_the_topology_itself(candles: Topology) -> None:
    assert line(candles, "main") is candles


@pytest.mark.parametrize(
    ("choice", "found"),
    [(Choice(sinks=("redis",)), "--sink redis"), (Choice(gateways=("paper",)), "--gateway paper")],
)
def test_version_reaches_nothing_beyond_kafka(choice: Choice, found: str) -> None:
    _require_steps_only(Choice(steps=("ingest",)), "next")
    with pytest.raises(UsageError, match=f"version next: expected steps alone, found {found};"):
        _require_steps_only(choice, "next")
