"""Each topic on its own: its name, its schema's file, and the fields that make its key."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace.avro.schema import AvroSchema, load_schema
from headrace.checks.finding import Finding
from headrace.errors import SchemaError
from headrace.topology import Topic, Topology

NAME = re.compile(r"[a-zA-Z0-9._-]{1,240}")
"""Kafka's rule, with room for `.dead`."""

KEY_TYPES = frozenset({"string", "int", "long", "boolean"})
"""Whose text is the same wherever it is written; a float's is not."""


def load_schemas(folder: Path, topics: Sequence[Topic]) -> tuple[dict[str, AvroSchema], list[str]]:
    """Return the schemas of these topics by their names, and an error for each that has none."""
    found: dict[str, AvroSchema] = {}
    errors = []
    for stem in dict.fromkeys(topic.schema for topic in topics):
        try:
            found[stem] = load_schema(folder, stem)
        except SchemaError as error:
            errors.append(f"{stem}: {error}")
    return found, errors


def check_topics(
    file: str, topology: Topology, schemas: Mapping[str, AvroSchema]
) -> Iterator[Finding]:
    """Check the topics of a topology; `schemas` holds those that could be loaded."""
    yield from _declared_twice(file, topology)
    yield from _alike(file, topology)
    for topic in topology.topics:
        yield from _check_name(file, topic)
        if topic.schema in schemas:
            yield from _check_key(file, topic, schemas[topic.schema].fields)


def every_declaration(topology: Topology) -> Iterator[tuple[str, Topic]]:
    """Yield each mention of a topic, and by whom."""
    yield "source", topology.source.topic
    for step in topology.steps:
        yield from ((f"step {step.name}", topic) for topic in (*step.reads, *step.writes))
    for gateway in topology.gateways:
        yield from ((f"gateway {gateway.name}", t) for t in (*gateway.reads, *gateway.writes))
    for sink in topology.sinks:
        yield from ((f"sink {sink.name}", topic) for topic in sink.reads)
    for panel in topology.panels:
        yield f"panel {panel.title}", panel.topic
    for control in topology.controls:
        yield f"control {control.name}", control.topic


def _declared_twice(file: str, topology: Topology) -> Iterator[Finding]:
    first: dict[str, tuple[str, Topic]] = {}
    for where, topic in every_declaration(topology):
        other, known = first.setdefault(topic.name, (where, topic))
        if topic != known:
            differ = [
                f"{name} {getattr(known, name)!r} and {getattr(topic, name)!r}"
                for name in Topic.__slots__
                if getattr(known, name) != getattr(topic, name)
            ]
            yield Finding(
                file,
                f"topic {topic.name}",
                "topic-twice",
                f"expected one declaration, found two by {other} and {where}, with "
                f"{', '.join(differ)}",
                "declare it once, and use that name in both places",
            )


def _alike(file: str, topology: Topology) -> Iterator[Finding]:
    """Find names that are one where '.' is written '_': in Kafka's metrics, as a sink's table."""
    first: dict[str, str] = {}
    for name in dict.fromkeys(topic.name for topic in topology.topics):
        other = first.setdefault(name.replace(".", "_").replace("-", "_"), name)
        if other != name:
            yield Finding(
                file,
                f"topic {name}",
                "topic-alike",
                f"expected a name unlike {other}'s where '.' and '-' are written '_', as metrics "
                "and tables are, found the same",
                "rename one of them",
            )


def _check_name(file: str, topic: Topic) -> Iterator[Finding]:
    where = f"topic {topic.name}"
    if not NAME.fullmatch(topic.name) or topic.name in {".", ".."}:
        yield Finding(
            file,
            where,
            "topic-name",
            f"expected up to 240 of the letters a-z, A-Z, 0-9, '.', '_', '-', found {topic.name!r}",
            "rename the topic",
        )
    if topic.partitions < 1:
        yield Finding(
            file,
            where,
            "topic-partitions",
            f"expected at least 1 partition, found {topic.partitions}",
            "set Topic(partitions=…)",
        )
    if topic.cleanup == "compact" and not topic.key:
        yield Finding(
            file,
            where,
            "topic-compact",
            "expected a key, by which a compacted topic keeps the last record, found none",
            'name its fields in Topic(key=…), or keep all records with cleanup="delete"',
        )
    if topic.reference and topic.cleanup != "compact":
        yield Finding(
            file,
            where,
            "reference-compact",
            "expected a reference topic that keeps the last record of each key, found one whose "
            "rows expire: a task that starts later would miss them",
            'set Topic(cleanup="compact")',
        )
    if topic.reference and topic.spoken:
        yield Finding(
            file,
            where,
            "reference-spoken",
            "expected rows of a table or words of operators, found both: a load takes away what "
            "it did not write",
            "give one of them a topic of its own",
        )


def _check_key(file: str, topic: Topic, fields: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    types = {field["name"]: field["type"] for field in fields}
    for name in topic.key:
        where = f"topic {topic.name}, key field {name}"
        if name not in types:
            yield Finding(
                file,
                where,
                "key-field",
                f"expected a field of schema {topic.schema}, which has {', '.join(types)}",
                f"add the field to {topic.schema}.avsc, or mend Topic(key=…)",
            )
        elif not _is_key_type(types[name]):
            yield Finding(
                file,
                where,
                "key-type",
                f"expected one of {', '.join(sorted(KEY_TYPES))} or an enum, "
                f"found {types[name]}: its text would not always be the same, or be missing",
                "choose another field for Topic(key=…)",
            )
    for name in topic.partition_by:
        if name not in topic.key:
            yield Finding(
                file,
                f"topic {topic.name}, partition_by {name}",
                "partition-by",
                f"expected a field of its key, {', '.join(topic.key) or 'which is empty'}: records "
                "of one key must stay together",
                "add the field to Topic(key=…), or take it out of partition_by",
            )


def _is_key_type(avro: Any) -> bool:
    if isinstance(avro, dict):
        return bool(avro.get("type") == "enum" or avro.get("type") in KEY_TYPES)
    return isinstance(avro, str) and avro in KEY_TYPES
