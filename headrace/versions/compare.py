"""What two versions of a topology made of one input, held together record by record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace import limits
from headrace.avro.registry import Registry
from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder
from headrace.errors import UsageError
from headrace.faults.compare import Group
from headrace.faults.records import OFFSET, PARTITION, TIME_MS, TopicRecords, records_of
from headrace.faults.same_stream import same_streams
from headrace.kafka.fetched import RawPart
from headrace.kafka.read_all import read_all
from headrace.project import Project
from headrace.topology import Topic
from headrace.versions.alignment import Agreement, Bounds, Example
from headrace.versions.kept import KeptVersion, given_topics, narrowed
from headrace.versions.ranges import bounds_of, read_ranges

OF_THE_LOG = frozenset({PARTITION, OFFSET, TIME_MS})


@dataclass(frozen=True, slots=True)
class ComparedTopic:
    """How a topic of two versions agrees; `left` and `right` are how many records each has.

    `is_decided` says whether it is a function of the input: else two runs of one version differ as
    well, by which of several inputs was read first. `shown` are the first differences, in words.
    """

    topic: str
    left: int
    right: int
    agreement: Agreement
    is_decided: bool
    shown: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def is_same(self) -> bool:
        """Say whether nothing differs that should not."""
        return self.agreement.is_same or not self.is_decided


@dataclass(frozen=True, slots=True)
class Comparison:
    """The topics of two versions, and where the ranges of input they have read differ."""

    topics: Sequence[ComparedTopic]
    bounds: Bounds

    @property
    def is_same(self) -> bool:
        """Say whether nothing differs."""
        return all(topic.is_same for topic in self.topics)


def compare(
    project: Project, registry: Registry, bootstrap: str, left: KeptVersion, right: KeptVersion
) -> Comparison:
    """Compare what the steps that both versions have wrote of what both have read.

    Raises:  UsageError if they have no step in common, or read other topics.
    """
    steps = _shared_steps(left, right)
    left, right = narrowed(left, steps), narrowed(right, steps)
    before = read_ranges(bootstrap, left), read_ranges(bootstrap, right)
    orders = _orders(project, left, right)
    read = []
    for pair in _written(left, right, steps):
        order = orders.get(pair[0].name, orders.get(pair[1].name))
        read.append((pair[0], order, _records(project, registry, bootstrap, *pair)))
    after = read_ranges(bootstrap, left), read_ranges(bootstrap, right)
    bounds = bounds_of(before, after)
    return Comparison([_compared(*each, bounds) for each in read], bounds)


def _shared_steps(left: KeptVersion, right: KeptVersion) -> list[str]:
    steps = [name for name in left.steps if name in right.steps]
    if not steps:
        raise UsageError(
            f"versions {left.name} and {right.name}: expected steps that both have, found "
            f"{', '.join(left.steps)} and {', '.join(right.steps)}"
        )
    return steps


def _written(
    left: KeptVersion, right: KeptVersion, steps: Sequence[str]
) -> list[tuple[Topic, Topic]]:
    """Return the topics these steps write, as each version has them."""
    return [
        pair
        for name in steps
        for pair in zip(
            left.topology.step(name).writes, right.topology.step(name).writes, strict=True
        )
    ]


def _orders(project: Project, left: KeptVersion, right: KeptVersion) -> dict[str, tuple[str, ...]]:
    """Return within which fields topics have one order, by their names in the narrower version.

    Those are a function of the input.
    """
    narrow = min(left, right, key=lambda version: len(version.topology.steps))
    fields = {
        topic.name: load_schema(project.schemas, topic.schema).arrow.names
        for topic in narrow.topology.topics
    }
    names = set(given_topics(narrow))
    given = [topic for topic in narrow.topology.topics if topic.name in names]
    return same_streams(narrow.topology, fields, given)


def _records(
    project: Project, registry: Registry, bootstrap: str, left: Topic, right: Topic
) -> tuple[TopicRecords, TopicRecords]:
    schema = load_schema(project.schemas, left.schema)
    decoder = Decoder(schema, registry.schema)
    parts: dict[str, list[RawPart]] = {left.name: [], right.name: []}
    records = 0
    for part in read_all(bootstrap, {topic.name: topic.partitions for topic in (left, right)}):
        records += len(part.values)
        if records > limits.TABLE_RECORDS_MAX:
            raise UsageError(
                f"topics {left.name} and {right.name}: expected at most "
                f"{limits.TABLE_RECORDS_MAX:,} records to compare, found more; replay a shorter "
                "range: headrace replay --from … --to …"
            )
        parts[part.topic].append(part)
    found = [records_of(topic, parts[topic.name], decoder, schema) for topic in (left, right)]
    return found[0], found[1]


def _compared(
    topic: Topic,
    order: Sequence[str] | None,
    records: tuple[TopicRecords, TopicRecords],
    bounds: Bounds,
) -> ComparedTopic:
    is_compacted = topic.cleanup == "compact"
    within = topic.key if is_compacted or order is None else order
    left, right = (_rows(each, within, is_compacted=is_compacted) for each in records)
    agreement = Agreement()
    rows: dict[str, tuple[list[int], list[int]]] = {}
    for group in dict.fromkeys([*left, *right]):
        key = "/".join(map(str, group))
        rows[key] = left.get(group, []), right.get(group, [])
        bodies = [
            [found.bodies[row] for row in chosen]
            for found, chosen in zip(records, rows[key], strict=True)
        ]
        agreement.add(key, bodies[0], bodies[1], bounds)
    shown = tuple(_shown(each, rows[each.key], records) for each in agreement.examples)
    counts = len(records[0].bodies), len(records[1].bodies)
    return ComparedTopic(topic.name, *counts, agreement, order is not None, shown)


def _rows(
    records: TopicRecords, within: Sequence[str], *, is_compacted: bool
) -> dict[Group, list[int]]:
    """Return the rows by the values of these fields; only the last of each where older ones go."""
    columns = [records.table.column(name).to_pylist() for name in within]
    found: dict[Group, list[int]] = {}
    for row, group in enumerate(zip(*columns, strict=True)):
        found.setdefault(group, []).append(row)
    return {group: rows[-1:] for group, rows in found.items()} if is_compacted else found


def _shown(
    example: Example,
    rows: tuple[Sequence[int], Sequence[int]],
    records: tuple[TopicRecords, TopicRecords],
) -> dict[str, Any]:
    left, right = (
        None if number is None else _record(found, chosen[number])
        for number, chosen, found in zip((example.left, example.right), rows, records, strict=True)
    )
    if left is None or right is None:
        return {"key": example.key, "left": left, "right": right}
    changed = [name for name in left if left[name] != right[name]]
    return {
        "key": example.key,
        "left": {name: left[name] for name in changed},
        "right": {name: right[name] for name in changed},
    }


def _record(records: TopicRecords, row: int) -> dict[str, Any]:
    (found,) = records.table.slice(row, 1).to_pylist()
    return {name: value for name, value in found.items() if name not in OF_THE_LOG}
