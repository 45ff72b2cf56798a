"""Strategies for hypothesis: any schema that columns can carry, ours among them, its records."""

import json
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from headrace.avro.schema import AvroSchema, load_schema, parse_schema

FOLDER = Path(__file__).parents[1] / "schemas" / "avro"
OURS = [load_schema(FOLDER, path.stem) for path in sorted(FOLDER.glob("*.avsc"))]

_PLAIN = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=20),
}
_PLAIN_TYPES = st.sampled_from(sorted(_PLAIN))
_SINGLE = (
    _PLAIN_TYPES
    | _PLAIN_TYPES.map(lambda name: {"type": name})
    | st.sampled_from([1, 2, 64, 65, 100]).map(
        lambda size: {"type": "enum", "symbols": [f"S{index}" for index in range(size)]}
    )
)


def _arrays(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return items.map(lambda avro: {"type": "array", "items": avro})


def _unions(kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(kinds, st.booleans()).map(
        lambda pair: ["null", pair[0]] if pair[1] else [pair[0], "null"]
    )


_INNER = _SINGLE | _unions(_SINGLE)
_LISTS = _arrays(_INNER | _arrays(_INNER) | _unions(_arrays(_INNER)))
_TYPES = _INNER | _LISTS | _unions(_LISTS)


def schemas() -> st.SearchStrategy[AvroSchema]:
    """Return schemas: the project's, and records of up to six fields of any type."""
    return st.sampled_from(OURS) | st.lists(_TYPES, min_size=1, max_size=6).map(_record)


def records_of(schema: AvroSchema, rows_max: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return lists of records of a schema, as fastavro and Arrow take them."""
    fields = {field["name"]: _values(field["type"]) for field in schema.fields}
    return st.lists(st.fixed_dictionaries(fields), min_size=1, max_size=rows_max)


def _record(types: list[Any]) -> AvroSchema:
    numbers = count()
    fields = [
        {"name": f"field_{index}", "type": _named(avro, numbers)}
        for index, avro in enumerate(types)
    ]
    return parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields}), "test")


def _named(avro: Any, numbers: "count[int]") -> Any:
    """Give every enum a name of its own."""
    if isinstance(avro, list):
        return [_named(branch, numbers) for branch in avro]
    if isinstance(avro, dict) and avro["type"] == "array":
        return {**avro, "items": _named(avro["items"], numbers)}
    if isinstance(avro, dict) and avro["type"] == "enum":
        return {**avro, "name": f"E{next(numbers)}"}
    return avro


def _values(avro: Any) -> st.SearchStrategy[Any]:
    if isinstance(avro, list):
        (branch,) = (branch for branch in avro if branch != "null")
        return st.none() | _values(branch)
    if isinstance(avro, dict) and avro["type"] == "array":
        return st.lists(_values(avro["items"]), max_size=4)
    if isinstance(avro, dict) and avro["type"] == "enum":
        return st.sampled_from(avro["symbols"])
    return _PLAIN[avro["type"] if isinstance(avro, dict) else avro]
