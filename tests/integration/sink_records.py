"""Makes parts of any reference topic, plain or full of edge cases, for the tests of the sinks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace import Part, Topic
from schemas import topics

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "infra" / "migrations"
START_NS = 1_722_988_800_000_000_000
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

SUNK = tuple(
    topic
    for topic in vars(topics).values()
    if isinstance(topic, Topic) and topic is not topics.FRAME
)


def schema_of(topic: Topic) -> dict[str, Any]:
    text = (ROOT / "schemas" / "avro" / f"{topic.schema}.avsc").read_text("utf-8")
    return dict(json.loads(text))


SCHEMAS: Mapping[str, dict[str, Any]] = {topic.name: schema_of(topic) for topic in SUNK}


def part_of(
    topic: Topic,
    rows: Sequence[Mapping[str, Any]],
    *,
    partition: int = 0,
    offset: int = 0,
    schema: Mapping[str, Any] | None = None,
) -> Part:
    """Return a part whose rows have plain values but for those given."""
    fields = (schema or SCHEMAS[topic.name])["fields"]
    columns = {
        field["name"]: pa.array(
            [row.get(field["name"], plain(field, offset + i)) for i, row in enumerate(rows)],
            arrow_type(field["type"]),
        )
        for field in fields
    }
    records = pa.RecordBatch.from_pydict(columns)
    keys = [
        "/".join(str(row.get(k, "x")) for k in topic.key).encode() for row in records.to_pylist()
    ]
    return Part(
        topic=topic.name,
        partition=partition,
        records=records,
        values=[b"value-%d" % i for i in range(len(rows))],
        keys=keys,
        offsets=np.arange(offset, offset + len(rows), dtype=np.int64),
        timestamps_ms=np.full(len(rows), START_NS // 1_000_000, np.int64),
    )


def plain(field: Mapping[str, Any], number: int) -> Any:
    kind = field["type"]
    if field["name"].endswith("_time_ns"):
        return START_NS + number * 1_000_001
    if isinstance(kind, list):
        return None
    if isinstance(kind, dict):
        return kind["symbols"][0] if kind["type"] == "enum" else [number, number + 1]
    values = {"string": "x", "boolean": True, "double": number + 0.5, "float": 0.5}
    return values.get(kind, number)


def arrow_type(kind: Any) -> pa.DataType:
    if isinstance(kind, list):
        return arrow_type(next(branch for branch in kind if branch != "null"))
    if isinstance(kind, dict):
        return pa.string() if kind["type"] == "enum" else pa.list_(arrow_type(kind["items"]))
    return {
        "string": pa.string(),
        "bytes": pa.binary(),
        "boolean": pa.bool_(),
        "int": pa.int32(),
        "long": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
    }[kind]
