"""Avro schemas from `schemas/avro`, as the engine uses them: text, fields, Arrow types."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa

from headrace.avro.program import Program, compile_program
from headrace.errors import SchemaError

_ARROW_BY_AVRO = {
    "string": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}


SHOWN_CHARACTERS_MAX = 300
"""Of what a schema says, in an error's text."""

NESTING_MAX = 8
"""Types within one another in a field: more is no schema that anyone reads."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FULL_NAME = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern})*")

_OWN_MARK = "__fastavro_parsed__"
"""A key by which fastavro knows what it has checked already: from outside it would be a lie."""

_REFUSALS = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,  # fastavro asks an object for what a text has
    RecursionError,
    fastavro.schema.SchemaParseException,
)


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
    def program(self) -> Program:
        """Return what the compiled codec follows."""
        return compile_program(self.fields, self.arrow)

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
        if not isinstance(document, dict) or document.get("type") != "record":
            raise TypeError(f"{str(document)[:80]}")
        if _OWN_MARK in document:
            raise KeyError(_OWN_MARK)
        fastavro.parse_schema(document)
        schema = AvroSchema(document["name"], json.dumps(document, separators=(",", ":")))
        # Half a character is no text, an infinite number no JSON: registries refuse both.
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
        _require_fields(schema)
        _require_names(document)
        # What no column can carry is found here, not in a run.
        _ = schema.program
    except _REFUSALS as error:
        found = f"{type(error).__name__}: {error}"[:300]
        raise SchemaError(f"{where}: expected an Avro record schema, found {found}") from error
    return schema


def _require_fields(schema: AvroSchema) -> None:
    if not isinstance(schema.fields, list):
        raise TypeError(f"fields: expected a list, found {str(schema.fields)[:80]}")
    names = [field["name"] for field in schema.fields]
    odd = [name for name in names if not _NAME.fullmatch(name)]
    if odd or len(set(names)) < len(names):
        raise ValueError(f"field names {names}: each once, of letters, digits and _")
    for field in schema.fields:
        kind = field["type"] if "default" in field else None
        # By Avro's rules a union's default is one of its first branch.
        if isinstance(kind, list) and not fastavro.validate(
            field["default"], kind[0], raise_errors=False
        ):
            raise ValueError(f"{field['name']}: expected a default of {kind[0]}")


def _require_names(avro: Any) -> None:
    """Refuse a record's or an enum's name, or a namespace, that other readers would."""
    if isinstance(avro, list):
        for part in avro:
            _require_names(part)
    if not isinstance(avro, dict):
        return
    if "symbols" in avro and not isinstance(avro["symbols"], list):
        raise TypeError(f"symbols: expected a list, found {str(avro['symbols'])[:80]}")
    names = [avro["name"]] if "name" in avro else []
    names += [avro["namespace"]] if avro.get("namespace") else []
    odd = [name for name in names if not _FULL_NAME.fullmatch(name)]
    if odd:
        raise ValueError(f"names {odd}: letters, digits and _, parted by full stops")
    for key in ("fields", "type", "items"):
        _require_names(avro.get(key))


def load_schema(folder: Path, stem: str) -> AvroSchema:
    """Return the schema of `folder/stem.avsc`."""
    path = folder / f"{stem}.avsc"
    try:
        text = path.read_text()
    except OSError as error:
        raise SchemaError(f"{path}: cannot be read: {error.strerror}; add the file") from error
    return parse_schema(text, str(path))


def _cut(avro: Any) -> str:
    return str(avro)[:SHOWN_CHARACTERS_MAX]


def _arrow_type(avro: Any, where: str, depth: int = 0) -> tuple[pa.DataType, bool]:
    """Return the Arrow type of an Avro type, and whether it may be null."""
    where = where[:SHOWN_CHARACTERS_MAX]
    if depth > NESTING_MAX:
        raise SchemaError(f"{where}: expected at most {NESTING_MAX} types within one another")
    if isinstance(avro, list):
        rest = [kind for kind in avro if kind != "null"]
        if len(rest) != 1 or len(avro) != 2:  # noqa: PLR2004  (null and another)
            raise SchemaError(f'{where}: expected a type or ["null", type], found {_cut(avro)}')
        return _arrow_type(rest[0], where, depth + 1)[0], True
    if isinstance(avro, dict):
        kind = avro["type"]
        if kind == "enum":
            return pa.string(), False
        if kind == "array":
            return pa.list_(_arrow_type(avro["items"], where, depth + 1)[0]), False
        if "logicalType" not in avro:
            return _arrow_type(kind, where, depth + 1)
    found = _ARROW_BY_AVRO.get(avro) if isinstance(avro, str) else None
    if found is None:
        known = ", ".join(_ARROW_BY_AVRO)
        raise SchemaError(f"{where}: expected one of {known}, enum or array, found {_cut(avro)}")
    return found, False
