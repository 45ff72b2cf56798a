"""What the names of Kafka's topics tell of versions, and what goes when one is dropped."""

import pytest

from headrace.errors import UsageError
from headrace.project import Project
from headrace.runtime.topics import gateway_changelog_topic
from headrace.topology import Topology
from headrace.versions.drop import dropped_topics
from headrace.versions.kept import KeptVersion, choice_of, given_topics, kept_versions, narrowed
from headrace.versions.orders import after_gateways
from headrace.versions.places import At, parse_where
from headrace.versions.switch import require_no_orders
from tests.repository_files import ROOT

MAIN = ["headrace.candles.ingest.changelog", "headrace.candles.candles-rolling.changelog"]
NEXT = [name.replace("candles.", "candles.next.", 1) for name in MAIN]
OTHERS = ["headrace.trading.next.ingest.changelog", "market.trade.v1", "headrace.candles.x"]


@pytest.fixture
def candles() -> Topology:
    return Project(ROOT).topology("candles")


@pytest.fixture
def gateway_graph() -> Topology:
    return Project(ROOT).topology("trading_gateway")


def version_of(topology: Topology, *changelogs: str) -> KeptVersion:
    (found,) = kept_versions(topology, changelogs)
    return found


def test_versions_are_found_by_their_changelogs(candles: Topology) -> None:
    main, other = kept_versions(candles, [*NEXT, *OTHERS, *MAIN])

    assert (main.name, other.name) == ("main", "next")
    assert main.topology is candles
    assert other.groups == ["headrace.candles.next.ingest", "headrace.candles.next.candles+rolling"]
    assert set(other.written) >= {"market.trade.v1.next", "candle.hour.v1.next"}


def test_topology_that_never_ran_has_none(candles: Topology) -> None:
    assert kept_versions(candles, OTHERS) == []


def test_version_is_of_the_steps_it_has_state_of(candles: Topology) -> None:
    found = version_of(candles, "headrace.candles.b.rolling.changelog")

    assert found.steps == ["rolling"]
    assert given_topics(found) == ["candle.second.v1"]


def test_steps_that_are_no_more_are_told(candles: Topology) -> None:
    found = version_of(candles, "headrace.candles.b.minutes.changelog")

    assert (found.steps, list(found.unknown)) == ([], ["headrace.candles.b.minutes.changelog"])


def test_how_steps_share_tasks_is_what_was_run(candles: Topology) -> None:
    apart = [f"headrace.candles.b.{name}.changelog" for name in ("ingest", "candles", "rolling")]
    both = [*apart, "headrace.candles.b.candles-rolling.changelog"]

    assert choice_of(version_of(candles, *NEXT)).fuse
    assert not choice_of(version_of(candles, *apart)).fuse
    with pytest.raises(UsageError, match="expected its steps in one way"):
        choice_of(version_of(candles, *both))


def test_chains_are_compared_that_both_have(candles: Topology) -> None:
    found = narrowed(version_of(candles, *MAIN), ["candles", "rolling"])

    assert [chain.name for chain in found.chains] == ["candles+rolling"]
    assert given_topics(found) == ["market.trade.v1"]


def test_nothing_of_others_goes_with_a_version(candles: Topology) -> None:
    """A topic's own version ends as a version's name may: `market.trade.v2`."""
    own = [
        "market.trade.v1.v2", "market.trade.v1.v2.dead", "market.frame.v1.v2.dead",
        "headrace.candles.v2.ingest.changelog", "headrace.candles.v2.gone.changelog",
    ]  # fmt: skip
    kept = [
        "market.trade.v2", "market.frame.v2", "market.trade.v1", "market.frame.v1.dead",
        "headrace.candles.v2-b.ingest.changelog", "headrace.trading.v2.ingest.changelog",
        "market.frame.v1.v2", *MAIN,
    ]  # fmt: skip

    assert dropped_topics(candles, "v2", [*own, *kept]) == sorted(own)


def test_state_of_a_gateway_is_no_versions(gateway_graph: Topology) -> None:
    (gateway,) = gateway_graph.gateways
    changelog = gateway_changelog_topic(gateway_graph, gateway.name)

    assert kept_versions(gateway_graph, [changelog]) == []


@pytest.mark.parametrize("step", ["execution", "risk"])
def test_step_whose_state_is_of_orders_takes_nothing_over(
    gateway_graph: Topology, step: str
) -> None:
    with pytest.raises(UsageError, match=f"step {step}: .* it cannot take over"):
        require_no_orders(gateway_graph, ["ingest", step])


def test_step_that_hears_of_no_order_may_take_over(gateway_graph: Topology) -> None:
    require_no_orders(gateway_graph, ["ingest", "features", "inference", "decision"])


def test_what_hears_a_gateway_is_found_over_steps_between(gateway_graph: Topology) -> None:
    assert after_gateways(gateway_graph) == {"execution", "risk"}
    assert after_gateways(Project(ROOT).topology("trading")) == set()


def test_place_of_a_replay_may_be_an_offset() -> None:
    words = ("earliest",)

    assert parse_where("17", "--from", words, takes_offsets=True) == At(17)
    assert parse_where("earliest", "--from", words, takes_offsets=True) == "earliest"
    with pytest.raises(UsageError, match="expected earliest, an offset or a time"):
        parse_where("-1", "--from", words, takes_offsets=True)
