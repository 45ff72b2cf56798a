"""A gateway on a topology's page: what it must say, and how it is drawn."""

import json
from dataclasses import replace

import pytest

from headrace import Gateway
from headrace.drawing import as_json, as_mermaid, as_svg
from headrace.errors import TopologyError
from schemas import topics as t
from topologies.trading import TOPOLOGY as TRADING
from topologies.trading_gateway import TOPOLOGY

(VENUE,) = TOPOLOGY.gateways


def test_trading_with_a_gateway_differs_in_the_venue_only() -> None:
    shared = [step for step in TRADING.steps if step.name != "venue"]

    assert list(TOPOLOGY.steps) == shared
    assert (VENUE.reads, VENUE.writes) == ((t.VENUE_ORDER,), (t.VENUE_REPORT,))
    assert {topic.name for topic in TOPOLOGY.topics} == {topic.name for topic in TRADING.topics}


def test_gateway_is_drawn_between_its_topics() -> None:
    edges = json.loads(as_json(TOPOLOGY))["edges"]

    assert ["topic:venue.order.v1", "gateway:venue"] in edges
    assert ["gateway:venue", "topic:venue.report.v1"] in edges
    assert "{{" in as_mermaid(TOPOLOGY)
    assert "leaves Kafka" in as_svg(TOPOLOGY)


def test_gateway_needs_one_topic_for_its_reports() -> None:
    with pytest.raises(TopologyError, match="expected one topic for its reports"):
        replace(TOPOLOGY, gateways=(replace(VENUE, writes=()),))


def test_gateways_inputs_need_the_same_partitions() -> None:
    wider = replace(t.ORDER_REQUEST, partitions=16)

    with pytest.raises(TopologyError, match="same number of partitions"):
        replace(TOPOLOGY, gateways=(replace(VENUE, reads=(t.VENUE_ORDER, wider)),))


def test_gateway_is_named_once() -> None:
    twice: tuple[Gateway, ...] = (VENUE, VENUE)

    with pytest.raises(TopologyError, match="gateway venue is named twice"):
        replace(TOPOLOGY, gateways=twice)
