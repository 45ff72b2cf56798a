"""Avro schemas from `schemas/avro`, as the engine uses them: text, fields, Arrow types."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa

from headrace.errors import SchemaError

_ARROW_BY_AVRO = {
    "string": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}


@dataclass(frozen=True)
class AvroSchema:
    """One record schema.

    `text` is its JSON in one line, the same for equal schemas: what a registry stores.
    """

    name: str
    text: str

    @cached_property
    def fields(self) -> list[dict[str, Any]]:
        """Return the record's fields as Avro declares them."""
        fields: list[dict[str, Any]] = json.loads(self.text)["fields"]
        return fields

    @cached_property
    def arrow(self) -> pa.Schema:
        """Return the columns a batch of these records has."""
        return pa.schema(
            [
                pa.field(field["name"], *_arrow_type(field["type"], f"{self.name}.{field['name']}"))
                for field in self.fields
            ]
        )

    @cached_property
    def parsed(self) -> Any:
        """Return the schema as fastavro wants it, for the slow path of one record at a time."""
        return fastavro.parse_schema(json.loads(self.text))


def parse_schema(text: str, where: str) -> AvroSchema:
    """Return the schema in this JSON text.

    Raises:  SchemaError if it is not a record schema the columns can carry; names `where`.
    """
    try:
        document = json.loads(text)
        fastavro.parse_schema(document)
    except (ValueError, fastavro.schema.SchemaParseException, KeyError, TypeError) as error:
        raise SchemaError(f"{where}: expected an Avro record schema, found {error}") from error
    if not isinstance(document, dict) or document.get("type") != "record":
        raise SchemaError(f"{where}: expected an Avro record schema, found {str(document)[:80]}")
    schema = AvroSchema(document["name"], json.dumps(document, separators=(",", ":")))
    _ = schema.arrow  # a field no column can carry is found here, not in the middle of a run
    return schema


def load_schema(folder: Path, stem: str) -> AvroSchema:
    """Return the schema of `folder/stem.avsc`."""
    path = folder / f"{stem}.avsc"
    try:
        text = path.read_text()
    except OSError as error:
        raise SchemaError(f"{path}: cannot be read: {error.strerror}; add the file") from error
    return parse_schema(text, str(path))


def _arrow_type(avro: Any, where: str) -> tuple[pa.DataType, bool]:
    """Return the Arrow type of an Avro type, and whether it may be null."""
    if isinstance(avro, list):
        rest = [kind for kind in avro if kind != "null"]
        if len(rest) != 1 or len(rest) == len(avro):
            raise SchemaError(f'{where}: expected a type or ["null", type], found {avro}')
        return _arrow_type(rest[0], where)[0], True
    if isinstance(avro, dict):
        kind = avro["type"]
        if kind == "enum":
            return pa.string(), False
        if kind == "array":
            return pa.list_(_arrow_type(avro["items"], where)[0]), False
        if "logicalType" not in avro:
            return _arrow_type(kind, where)
    found = _ARROW_BY_AVRO.get(avro) if isinstance(avro, str) else None
    if found is None:
        known = ", ".join(_ARROW_BY_AVRO)
        raise SchemaError(f"{where}: expected one of {known}, enum or array, found {avro}")
    return found, False
