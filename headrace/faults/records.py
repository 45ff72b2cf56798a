"""What a run left in Kafka, as tables to compare and to check."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from headrace.avro.schema import AvroSchema, load_schema
from headrace.avro.wire import HEADER_BYTES, Decoder
from headrace.errors import InvariantError
from headrace.kafka.consumer import Reader
from headrace.kafka.fetched import Offsets, RawPart
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.schema_log import SchemaLog
from headrace.project import Project
from headrace.runtime.assemble import Choice
from headrace.runtime.topics import changelog_topic
from headrace.topology import Topic, Topology

Page = tuple[int, bytes]
"""Partition and name of a page of state."""

PARTITION, OFFSET, TIME_MS = "kafka_partition", "kafka_offset", "kafka_time_ms"


NO_PAGE = b"\x00"
"""What the names of records begin with that are no page of a table, as checkpoints are."""

HEAD_PAGE = b"\x000"
"""What the name of the first page of a key ends with."""


@dataclass(frozen=True, slots=True)
class TopicRecords:
    """A topic's records, partition by partition in the order of the log.

    Shapes:  `table`, `keys` and `bodies` have an item a record. A body is the record's Avro bytes:
    equal records have equal ones, whatever id the registry of the run gave their schema.
    """

    topic: Topic
    table: pa.Table
    keys: list[bytes | None]
    bodies: list[bytes]
    undecodable: int = 0


@dataclass(frozen=True, slots=True)
class RunRecords:
    """All records of a run by topic, and how many dead letters each topic's readers wrote.

    `states` has the first page of every key's state, by changelog, then partition and name.
    """

    by_topic: Mapping[str, TopicRecords]
    dead: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, Mapping[Page, bytes]] = field(default_factory=dict)

    def tables(self, topics: Sequence[Topic]) -> dict[str, pa.Table]:
        """Return the tables of these topics by name."""
        return {topic.name: self.by_topic[topic.name].table for topic in topics}


def read_run(project: Project, topology: Topology, bootstrap: str) -> RunRecords:
    """Read every topic of a topology to its end."""
    names = {
        name: topic.partitions for topic in topology.topics for name in (topic.name, topic.dead)
    }
    changelogs = {
        changelog_topic(topology, run): run[0].reads[0].partitions
        for run in Choice().runs(topology)
    }
    parts: dict[str, list[RawPart]] = {name: [] for name in (*names, *changelogs)}
    for part in read_log(bootstrap, names | changelogs):
        parts[part.topic].append(part)
    registry = SchemaLog(bootstrap)
    try:
        found = {}
        for topic in topology.topics:
            schema = load_schema(project.schemas, topic.schema)
            decoder = Decoder(schema, registry.schema)
            found[topic.name] = records_of(topic, parts[topic.name], decoder, schema)
    finally:
        registry.close()
    dead = {
        topic.name: sum(len(part.values) for part in parts[topic.dead]) for topic in topology.topics
    }
    return RunRecords(found, dead, {name: head_pages(parts[name]) for name in changelogs})


def read_log(
    bootstrap: str, topics: Mapping[str, int], starts: Offsets | None = None
) -> Iterator[RawPart]:
    """Yield all that readers of committed records see of topics, given with partition counts.

    Raises:  TransientError if a partition does not come to its end, as with a transaction open.
    """
    query = OffsetQuery(bootstrap)
    ends = query.ends(places_of_topics(topics))
    query.close()
    reader = Reader(bootstrap, "headrace-faults")
    try:
        yield from reader.read_through(
            {place: (starts or {}).get(place, 0) for place in ends}, ends
        )
    finally:
        reader.close()


def head_pages(parts: Sequence[RawPart]) -> dict[Page, bytes]:
    """Return the last value of the first page of every key in the partitions of a changelog.

    The further pages of a large object may begin at what was the oldest entry when they were last
    written: the same state, in other bytes.
    """
    pages: dict[Page, bytes] = {}
    for part in parts:
        for name, value in zip(part.keys, part.values, strict=True):
            if name is None or name.startswith(NO_PAGE) or not name.endswith(HEAD_PAGE):
                continue
            if value is None:
                pages.pop((part.partition, name), None)
            else:
                pages[part.partition, name] = value
    return pages


def records_of(
    topic: Topic, parts: Sequence[RawPart], decoder: Decoder, schema: AvroSchema
) -> TopicRecords:
    """Return the decoded records of a topic's partitions."""
    tables = []
    keys: list[bytes | None] = []
    bodies: list[bytes] = []
    undecodable = 0
    for part in sorted(parts, key=lambda part: part.partition):
        if not part.values:
            continue
        decoded = decoder.decode(part.values)
        undecodable += len(decoded.bad)
        good = part.take(decoded.rows)
        keys += good.keys
        bodies += [(value or b"")[HEADER_BYTES:] for value in good.values]
        offsets, times_ms = pa.array(good.offsets), pa.array(good.timestamps_ms)
        tables.append(
            pa.Table.from_batches([decoded.records])
            .append_column(PARTITION, pa.array([part.partition] * len(decoded.rows), pa.int32()))
            .append_column(OFFSET, offsets)
            .append_column(TIME_MS, times_ms)
        )
    if not tables:
        empty = pa.table({f.name: pa.array([], f.type) for f in schema.arrow})
        empty = empty.append_column(PARTITION, pa.array([], pa.int32()))
        for name in (OFFSET, TIME_MS):
            empty = empty.append_column(name, pa.array([], pa.int64()))
        tables = [empty]
    whole = pa.concat_tables(tables)
    if whole.num_rows != len(bodies):
        raise InvariantError(f"topic {topic.name}: {whole.num_rows} rows of {len(bodies)} records")
    return TopicRecords(topic, whole, keys, bodies, undecodable)
