"""A run on real servers and a run without Kafka write the same bytes, as far as they can."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from headrace.avro.registry import subject_of
from headrace.avro.schema import AvroSchema
from headrace.batch import Part
from headrace.faults.same_stream import same_streams
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.testing import TestDriver
from headrace.topology import Topic
from schemas import topics
from tests.integration.trading_run import ROOT, finish_run, read_records, start_run
from topologies.trading import TOPOLOGY

RECORDING = "spot_ethusdt_20240808.gz"
"""One source of one instrument: within a partition of any topic there is one stream."""

BEHIND_THE_LOOP = (topics.VENUE_ORDER, topics.VENUE_REPORT)

Values = Mapping[int, Sequence[bytes | None]]
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Both:
    """What the two runs wrote: values by topic and partition; rows of some topics."""

    live: Mapping[str, Values]
    local: Mapping[str, Values]
    live_rows: Rows
    local_rows: Rows


@pytest.fixture(scope="module")
def both(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("parity")
    settings = Settings.load(home=folder / "servers", kafka=None, postgres=None, redis=None)
    feed = f"capture:{shared_data / 'binance' / RECORDING}"
    with Servers(settings) as servers:
        found = servers.endpoints
        where = {"kafka": found.kafka, "postgres": found.postgres, "redis": found.redis}
        report = folder / "report.json"
        finish_run(start_run(folder, report, feed, **where), report)
        live = {topic.name: live_values(found.kafka, topic) for topic in TOPOLOGY.topics}
        live_rows = {topic.name: read_records(found.kafka, topic) for topic in BEHIND_THE_LOOP}
        registry = SchemaLog(found.kafka)

        def live_id(topic: Topic, schema: AvroSchema) -> int:
            return registry.register(subject_of(topic.name), schema)

        driver = TestDriver(TOPOLOGY, project=ROOT, schema_ids=live_id)
        registry.close()
    driver.feed(feed)
    parts = {topic.name: driver.read_parts(topic) for topic in TOPOLOGY.topics}
    local = {name: local_values(found) for name, found in parts.items()}
    local_rows = {
        topic.name: [row for part in parts[topic.name] for row in part.records.to_pylist()]
        for topic in BEHIND_THE_LOOP
    }
    return Both(live, local, live_rows, local_rows)


def live_values(bootstrap: str, topic: Topic) -> Values:
    """Return what the partitions of a topic hold in Kafka."""
    found: dict[int, list[bytes | None]] = defaultdict(list)
    for part in read_all(bootstrap, {topic.name: topic.partitions}):
        if len(part.values):
            found[part.partition] += part.values
    return found


def local_values(parts: Sequence[Part]) -> Values:
    """Return what the partitions of a topic hold in the driver."""
    found: dict[int, list[bytes | None]] = defaultdict(list)
    for part in parts:
        found[part.partition] += part.values
    return found


def test_topics_that_are_a_function_of_the_input_are_the_same_bytes(both: Both) -> None:
    same = same_streams(TOPOLOGY, dict.fromkeys(both.live, ()))

    assert {topics.FRAME.name, topics.FEATURE.name, topics.ORDER_REQUEST.name} <= same.keys()
    assert sum(len(values) for values in both.live[topics.ORDER_REQUEST.name].values()) > 100
    assert [name for name in same if both.live[name] != both.local[name]] == []


def test_an_order_that_both_runs_sent_is_the_same_order(both: Both) -> None:
    """Which requests are approved hangs on when risk hears of fills: live later than here."""
    live, local = (orders_of(rows) for rows in (both.live_rows, both.local_rows))

    common = live.keys() & local.keys()
    assert common
    assert [name for name in common if live[name] != local[name]] == []


def test_orders_before_the_first_that_differs_are_answered_alike(both: Both) -> None:
    """The paper venue answers by the quotes, and by what earlier orders took of them."""
    live, local = ([*orders_of(rows)] for rows in (both.live_rows, both.local_rows))

    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(live, local, strict=False))
    alike = [name for name, _ in pairs]
    assert alike
    for name in alike:
        assert reports_of(both.live_rows, name) == reports_of(both.local_rows, name)


def orders_of(rows: Rows) -> dict[str, Mapping[str, Any]]:
    """Return the orders sent, by id, in order: all are of one instrument."""
    return {row["client_order_id"]: row for row in rows[topics.VENUE_ORDER.name]}


def reports_of(rows: Rows, order: str) -> list[Mapping[str, Any]]:
    """Return the venue's reports of an order, in order."""
    return [row for row in rows[topics.VENUE_REPORT.name] if row["client_order_id"] == order]
