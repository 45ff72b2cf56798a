"""A feed through a topology three ways: workers on real servers, the test driver, a backtest."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeAlias

from headrace.avro.registry import subject_of
from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder
from headrace.backtest.figures import Digests
from headrace.backtest.run import run_backtest
from headrace.batch import Headers, Part
from headrace.faults.same_stream import same_streams
from headrace.feed import FeedOptions
from headrace.kafka.fetched import RawPart
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.local.loading import load_codecs
from headrace.project import Project
from headrace.runtime.loading import SchemaIds
from headrace.servers import Endpoints
from headrace.testing import TestDriver
from headrace.topology import Topic, Topology
from tests.integration.trading_run import ROOT, finish_run, start_run

Record: TypeAlias = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers, as they lie in the log."""

Log: TypeAlias = Mapping[int, list[Record]]
"""The records of a topic by partition, in order."""

Rows: TypeAlias = Mapping[str, list[Mapping[str, Any]]]
"""The decoded records of topics, in order."""


@dataclass(frozen=True)
class ThreeWays:
    """What each way wrote to the topics of a topology.

    `backtest` has a digest a topic, of values in the order of each partition.
    """

    topology: Topology
    live: Mapping[str, Log]
    parts: Mapping[str, Sequence[Part]]
    backtest: Mapping[str, str]
    report: Mapping[str, Any]

    @property
    def same(self) -> list[str]:
        """Return the topics that are a function of the input alone."""
        return [*same_streams(self.topology, dict.fromkeys(self.live, ()))]

    def live_rows(self, topic: Topic) -> list[Mapping[str, Any]]:
        """Return the records of a topic as the workers wrote them, partition by partition."""
        schema = load_schema(ROOT / "schemas" / "avro", topic.schema)
        log = self.live[topic.name]
        values = [value for partition in sorted(log) for _, value, _ in log[partition]]
        decoded = Decoder(schema, lambda _: schema).decode(values)
        assert not decoded.bad
        rows: list[Mapping[str, Any]] = decoded.records.to_pylist()
        return rows

    def driver_rows(self, topic: str) -> list[Mapping[str, Any]]:
        """Return the records of a topic as the driver wrote them."""
        return [row for part in self.parts[topic] for row in part.records.to_pylist()]

    def driver_log(self, topic: str) -> Log:
        """Return what the driver wrote to the partitions of a topic."""
        return log_of(self.parts[topic])

    def records(self) -> int:
        """Return how many records those topics hold live."""
        return sum(len(log) for topic in self.same for log in self.live[topic].values())

    def unlike_driver(self) -> dict[str, int]:
        """Return the topics of these that the driver wrote otherwise: at how many places."""
        found = {t: differences(self.live[t], self.driver_log(t)) for t in self.same}
        return {topic: places for topic, places in found.items() if places}

    def unlike_backtest(self) -> list[str]:
        """Return the topics of these whose values are other bytes in the backtest."""
        digests = Digests()
        for topic in self.same:
            for partition, records in self.live[topic].items():
                digests.add(topic, partition, [value for _, value, _ in records])
        live = digests.by_topic()
        return [topic for topic in self.same if live.get(topic) != self.backtest.get(topic)]


def run_three_ways(name: str, feed: str, folder: Path, found: Endpoints) -> ThreeWays:
    """Run a feed to its end through a topology of this project, as fast as each way goes.

    The topics must be new on these servers.
    """
    topology = Project(ROOT).topology(name)
    where = {"kafka": found.kafka, "postgres": found.postgres, "redis": found.redis}
    report = folder / "report.json"
    told = finish_run(start_run(folder, report, feed, topology=name, **where), report)
    live = {topic.name: log_of(read_all(found.kafka, _places(topic))) for topic in topology.topics}
    ids = registered_ids(topology, found.kafka)
    driver = TestDriver(topology, project=ROOT, schema_ids=ids)
    driver.feed(feed)
    parts = {topic.name: driver.read_parts(topic) for topic in topology.topics}
    return ThreeWays(
        topology,
        live,
        parts,
        backtest_digests(topology, feed, ids),
        told,
    )


def registered_ids(topology: Topology, bootstrap: str) -> SchemaIds:
    """Return the ids that a registry in Kafka has given the schemas of a topology."""
    registry = SchemaLog(bootstrap)
    codecs = load_codecs(
        Project(ROOT).schemas,
        topology.topics,
        lambda topic, schema: registry.register(subject_of(topic.name), schema),
    )
    registry.close()
    return lambda topic, _: codecs[topic.name].schema_id


def backtest_digests(topology: Topology, feed: str, ids: SchemaIds) -> Mapping[str, str]:
    """Return the digest of each topic of a backtest."""
    opened = topology.source.open(feed, FeedOptions())
    done = run_backtest(Project(ROOT), topology, opened, lambda *_: None, schema_ids=ids)
    return done.digests.by_topic()


def log_of(parts: Iterable[RawPart | Part]) -> Log:
    """Return what the partitions of a topic hold."""
    found: dict[int, list[Record]] = defaultdict(list)
    for part in parts:
        headers = [tuple(each) for each in part.headers or [()] * len(part.values)]
        found[part.partition] += zip(part.keys, part.values, headers, strict=True)
    return {partition: records for partition, records in found.items() if records}


def differences(one: Log, other: Log) -> int:
    """Return at how many places of its partitions two logs hold another record, or none."""
    return sum(
        mine != theirs
        for partition in one.keys() | other.keys()
        for mine, theirs in zip_longest(one.get(partition, ()), other.get(partition, ()))
    )


def _places(topic: Topic) -> dict[str, int]:
    return {topic.name: topic.partitions}
