"""Avro records as they lie in Kafka, through the decoder of their topic's readers."""

import io
from collections.abc import Sequence
from functools import cache, partial
from random import Random
from typing import Any

import fastavro
import pyarrow as pa

from headrace.avro.schema import AvroSchema, load_schema, parse_schema
from headrace.avro.wire import Decoder, encode
from headrace.errors import DecodeError, SchemaError
from tests.fuzz.mutation import BYTE_TOKEN, ODD_BYTES, Mutator
from tests.fuzz.target import ROOT, Target, require

FOLDER = ROOT / "schemas" / "avro"
CAUSES = {"not_confluent_framed", "unknown_schema_id", "not_avro", "schema_mismatch"}
SAMPLES = 40

EVERY_TYPE = parse_schema(
    '{"type":"record","name":"Every","fields":['
    '{"name":"text","type":"string"},{"name":"count","type":"long"},'
    '{"name":"small","type":"int"},{"name":"maybe","type":["null","long"],"default":null},'
    '{"name":"last","type":["string","null"]},{"name":"only","type":["null","int"]},'
    '{"name":"ratio","type":"double"},{"name":"short","type":"float"},'
    '{"name":"is_on","type":"boolean"},'
    '{"name":"side","type":{"type":"enum","name":"Side","symbols":["A","B","C"]}},'
    '{"name":"levels","type":{"type":"array","items":"long"}},'
    '{"name":"names","type":{"type":"array","items":"string"}}]}',
    "every type",
)
OLDER = parse_schema(
    '{"type":"record","name":"Every","fields":['
    '{"name":"text","type":"string"},{"name":"count","type":"int"},'
    '{"name":"ratio","type":"float"}]}',
    "an older schema",
)


@cache
def ours() -> list[AvroSchema]:
    """Return the project's schemas."""
    return [load_schema(FOLDER, path.stem) for path in sorted(FOLDER.glob("*.avsc"))]


def schema_by_id(schema_id: int) -> AvroSchema:
    """Return the project's schemas by number from 1, as a registry would."""
    if schema_id == 250:
        raise SchemaError("schema id 250: expected an Avro record schema, found Protobuf")
    known = {200: EVERY_TYPE, 201: OLDER} | dict(enumerate(ours(), start=1))
    if schema_id not in known:
        raise DecodeError(f"schema id {schema_id} is not registered")
    return known[schema_id]


class Reading:
    """Decodes batches and holds what was accepted against another reader of Avro."""

    def __init__(self, reader: AvroSchema, schema_id: int) -> None:
        self._reader = reader
        self._id = schema_id
        self._decoder = Decoder(reader, schema_by_id)

    def __call__(self, records: Sequence[bytes]) -> None:
        """Every record is decoded or named as bad, once; what is decoded can be written again."""
        decoded = self._decoder.decode(records)
        rows = decoded.rows.tolist()
        bad = [one.row for one in decoded.bad]
        require(sorted([*rows, *bad]) == list(range(len(records))), "a record got lost")
        require({one.cause for one in decoded.bad} <= CAUSES, "an unknown cause")
        require(all(len(one.detail) < 2_000 for one in decoded.bad), "a detail without a limit")
        decoded.records.validate(full=True)
        require(decoded.records.schema.equals(self._reader.arrow), "other columns")
        again = encode(decoded.records, self._reader, self._id)
        plain = self._decoder.decode(again)
        require(not plain.bad and _same(plain.records, decoded.records), "another record")
        for place, row in list(enumerate(rows))[:: max(1, len(rows) // 8)]:
            self._check_one(records[row], again[place])

    def _check_one(self, record: bytes, again: bytes) -> None:
        """What fastavro reads of both is the same."""
        writer = schema_by_id(int.from_bytes(record[1:5], "big"))
        stream = io.BytesIO(record[5:])
        first: Any = fastavro.schemaless_reader(stream, writer.parsed, self._reader.parsed)
        require(stream.tell() == len(record) - 5, "bytes are left over")
        second = fastavro.schemaless_reader(io.BytesIO(again[5:]), self._reader.parsed, None)
        require(repr(first) == repr(second), f"{first} became {second}"[:400])


def _same(one: pa.RecordBatch, other: pa.RecordBatch) -> bool:
    # Arrow takes NaN for equal to nothing.
    return one.equals(other) or repr(one.to_pylist()) == repr(other.to_pylist())


def samples(schema: AvroSchema, schema_id: int) -> list[bytes]:
    """Return good records of a schema, framed."""
    random = Random(schema.name)  # noqa: S311
    rows = [{f["name"]: _value(f["type"], random) for f in schema.fields} for _ in range(SAMPLES)]
    return encode(pa.RecordBatch.from_pylist(rows, schema=schema.arrow), schema, schema_id)


def _value(avro: Any, random: Random) -> Any:
    if isinstance(avro, list):
        kinds = [kind for kind in avro if kind != "null"]
        return None if random.random() < 0.4 else _value(kinds[0], random)
    if isinstance(avro, dict) and avro["type"] == "enum":
        return random.choice(avro["symbols"])
    if isinstance(avro, dict) and avro["type"] == "array":
        return [_value(avro["items"], random) for _ in range(random.choice((0, 1, 2, 10)))]
    kind = avro["type"] if isinstance(avro, dict) else avro
    return {
        "string": lambda: random.choice(("", "a", "binance-spot:BTCUSDT", "é" * 40)),
        "int": lambda: random.choice((0, 1, -1, 2**31 - 1, -(2**31))),
        "long": lambda: random.choice((0, 1, -1, 10**12, 2**61, -(2**61))),
        "float": lambda: 0.5,
        "double": lambda: random.choice((0.0, 1.5, -1e300)),
        "boolean": lambda: random.random() < 0.5,
    }[kind]()


def _every_seeds() -> list[bytes]:
    return [*samples(EVERY_TYPE, 200), *samples(OLDER, 201), b"\0\0\0\0\xfa" + b"\0" * 20]


def _our_seeds(index: int) -> list[bytes]:
    return samples(ours()[index], index + 1)


class Topics:
    """The readers of every topic of ours, by turns."""

    def __init__(self) -> None:
        self._readings = [Reading(schema, i) for i, schema in enumerate(ours(), start=1)]
        self._turn = 0

    def __call__(self, records: Sequence[bytes]) -> None:
        """Give each reader the records of its schema's id, as its topic would hold them."""
        by_id: dict[int, list[bytes]] = {}
        for record in records:
            by_id.setdefault(record[4] if len(record) > 4 else 1, []).append(record)
        for schema_id, found in by_id.items():
            self._readings[(schema_id - 1) % len(self._readings)](found)


def _topic_seeds() -> list[bytes]:
    return [record for index in range(len(ours())) for record in _our_seeds(index)]


_MUTATOR = Mutator(BYTE_TOKEN, ODD_BYTES, ODD_BYTES)
TARGETS = [
    Target(
        name="avro_every_type",
        an_input="a record",
        open=partial(Reading, EVERY_TYPE, 200),
        seeds=_every_seeds,
        mutator=_MUTATOR,
        share=3_500,
    ),
    Target(
        name="avro_topics",
        an_input="a record",
        open=Topics,
        seeds=_topic_seeds,
        mutator=_MUTATOR,
        share=3_500,
    ),
]
