"""Schemas as a file or a registry gives them: refused in words, or able to carry a record."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pyarrow as pa
from tenacity import RetryError

from headrace.avro.registry import HttpRegistry
from headrace.avro.schema import AvroSchema, parse_schema
from headrace.avro.wire import Decoder, encode
from headrace.errors import DecodeError, SchemaError, TransientError
from tests.fuzz.mutation import JSON_TOKEN, ODD_JSON, Mutator
from tests.fuzz.target import Target, require
from tests.fuzz.targets.avro_records import EVERY_TYPE, FOLDER, OLDER

WORDS = [
    json.dumps(word).encode()
    for word in (
        "record", "enum", "array", "map", "fixed", "null", "int", "long", "float", "double",
        "boolean", "string", "bytes", "name", "type", "fields", "items", "symbols", "values",
        "default", "namespace", "aliases", "logicalType", "decimal", "doc", "error", "size",
        "__fastavro_parsed__", "__named_schemas", "Every", "Side",
    )
]  # fmt: skip


def _texts() -> list[bytes]:
    files = [path.read_bytes() for path in sorted(FOLDER.glob("*.avsc"))]
    small = [
        b'{"type":"record","name":"A","fields":[]}',
        b'{"type":"record","name":"A","fields":[{"name":"x","type":"long"}]}',
        (
            b'{"type":"record","name":"A","fields":[{"name":"x","type":{"type":"array","items":'
            b'{"type":"array","items":"int"}}}]}'
        ),
        (
            b'{"type":"record","name":"A","fields":[{"name":"x","type":["null",{"type":"enum",'
            b'"name":"E","symbols":["a"]}],"default":null}]}'
        ),
        (
            b'{"type":"record","name":"A","namespace":"n","fields":[{"name":"x","type":["null",'
            b'{"type":"array","items":"string"}]},{"name":"y","type":{"type":"array","items":'
            b'["null","int"]}}]}'
        ),
        (
            b'{"type":"record","name":"A","fields":[{"name":"x","type":{"type":"int",'
            b'"logicalType":"date"}},{"name":"y","type":{"type":"record","name":"B","fields":[]}}]}'
        ),
    ]
    return [EVERY_TYPE.text.encode(), OLDER.text.encode(), *small * 3, *files]


def _load(records: Sequence[bytes]) -> None:
    for text in records:
        try:
            schema = parse_schema(text.decode("utf-8", "surrogateescape"), "fuzz")
        except SchemaError as error:
            require(len(str(error)) < 4_000, "an error without a limit")
            continue
        _carry(schema)


def _carry(schema: AvroSchema) -> None:
    """A schema that was accepted carries a record there and back, and its text is its own."""
    require(parse_schema(schema.text, "again").text == schema.text, "its text changes")
    if not schema.fields:
        return
    row = {field.name: _value(field.type) for field in schema.arrow}
    records = pa.RecordBatch.from_pylist([row], schema=schema.arrow)
    for field in schema.fields:
        if "enum" in json.dumps(field["type"]):
            return  # its symbols are the schema's to know
    values = encode(records, schema, 1)
    decoded = Decoder(schema, {1: schema}.__getitem__).decode(values)
    require(decoded.records.equals(records), f"{row} became {decoded}")


def _value(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return [_value(kind.value_type)]
    if pa.types.is_string(kind):
        return "a"
    return True if pa.types.is_boolean(kind) else 1


class Answers:
    """A registry whose answers are spoiled: byte 0 the status, then the body."""

    STATUSES = (200, 200, 200, 200, 404, 409, 422, 301, 204)

    def __init__(self) -> None:
        self._answer = httpx.Response(200)
        HttpRegistry._ask.retry.sleep = lambda _: None  # type: ignore[attr-defined]

    def __call__(self, records: Sequence[bytes]) -> None:
        """Ask for a schema and register one; each answer is used or refused in words."""
        transport = httpx.MockTransport(lambda _: self._answer)
        registry = HttpRegistry("http://registry")
        registry.__dict__["_client"] = httpx.Client(base_url="http://registry", transport=transport)
        for number, record in enumerate(records):
            status = self.STATUSES[record[0] % len(self.STATUSES)] if record else 200
            for ask in (registry.schema, self._register(registry)):
                self._answer = httpx.Response(status, content=record[1:])
                try:
                    ask(number)
                except (DecodeError, SchemaError, TransientError) as error:
                    require(len(str(error)) < 4_000, "an error without a limit")
                except RetryError as error:
                    raise AssertionError from error

    @staticmethod
    def _register(registry: HttpRegistry) -> Any:
        def register(_: int) -> None:
            given = registry.register("subject", OLDER)
            require(0 <= given < 2**31, f"an id of {given}")

        return register


def _answers() -> list[bytes]:
    texts = [{"schema": text.decode()} for text in _texts()[:6]]
    bodies = [{"id": 5}, {"id": 0}, {"id": 2**31}, {"id": "7"}, *texts, {"error_code": 40403}]
    bodies.append({"schema": 'syntax = "proto3";', "schemaType": "PROTOBUF"})
    return [b"\0" + json.dumps(body).encode() for body in bodies] + [b"\4", b"\0<html>", b"\x08"]


_MUTATOR = Mutator(JSON_TOKEN, ODD_JSON, WORDS)
TARGETS = [
    Target(
        name="schema_texts",
        an_input="a schema",
        open=lambda: _load,
        seeds=_texts,
        mutator=_MUTATOR,
        share=300,
        batch=64,
    ),
    Target(
        name="registry_answers",
        an_input="an answer",
        open=Answers,
        seeds=_answers,
        mutator=_MUTATOR,
        share=40,
        batch=64,
    ),
]
