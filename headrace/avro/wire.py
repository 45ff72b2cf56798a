"""The Confluent wire format, a batch at a time: byte 0, the schema's id, the Avro record."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from headrace.avro.lengths import encoded_lengths
from headrace.avro.schema import AvroSchema
from headrace.avro.strict import require_record
from headrace.batch import IntArray
from headrace.errors import DecodeError, InvariantError, SchemaError

HEADER_BYTES = 5
MAGIC = b"\x00"

_WIDEST = {pa.int64(): 2**62, pa.int32(): 2**27}
"""Numbers from here on, up or down, take ten bytes as a varint, or five as an int: what was cut off
would not show in the length. No record of ours comes near."""

CAUSE_CHARACTERS_MAX = 300
"""Of a library's error: some print both schemas."""

SchemaById = Callable[[int], AvroSchema]
"""Returns the schema a writer registered under an id; raises DecodeError if there is none."""


@dataclass(frozen=True, slots=True)
class BadValue:
    """A record that could not be decoded: its place in the batch, and why."""

    row: int
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """The records that could be decoded, where they stood, and those that could not.

    Shapes:  `rows` has `records.num_rows` items, growing.
    """

    records: pa.RecordBatch
    rows: IntArray
    bad: Sequence[BadValue]


def encode(records: pa.RecordBatch, schema: AvroSchema, schema_id: int) -> list[bytes]:
    """Return each row as a Confluent-framed Avro record.

    Raises:  InvariantError if the columns are not those of the schema: the agent is wrong.
    """
    if records.schema.names != schema.arrow.names:
        raise InvariantError(
            f"schema {schema.name}: expected the columns {schema.arrow.names}, "
            f"found {records.schema.names}"
        )
    try:
        (bodies,) = pyruhvro.serialize_record_batch(records, schema.text, 1)
    except ValueError as error:
        raise InvariantError(f"schema {schema.name}: columns cannot be written: {error}") from error
    header = pa.scalar(MAGIC + schema_id.to_bytes(4, "big"), pa.binary())
    framed = pc.binary_join_element_wise(header, bodies, pa.scalar(b"", pa.binary()))
    values: list[bytes] = framed.to_pylist()
    return values


class Decoder:
    """Decodes the records of one topic into the columns of the schema its readers use."""

    def __init__(self, reader: AvroSchema, schema_by_id: SchemaById) -> None:
        self._reader = reader
        self._schema_by_id = schema_by_id
        self._writers: dict[bytes, AvroSchema] = {}

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Return the columns of these records, and which of them are none.

        A record that is not Confluent-framed, names an unknown schema, ends early or late, or
        holds what its schema does not allow is bad; its neighbours are not.
        """
        headers = {value[:HEADER_BYTES] if value else b"" for value in values}
        if len(headers) == 1:
            writer = self._writer(headers.pop())
            if isinstance(writer, AvroSchema) and writer.text == self._reader.text:
                records = _decode_all([value[HEADER_BYTES:] for value in values if value], writer)
                if records is not None:
                    return Decoded(records, np.arange(len(values), dtype=np.int64), ())
        return self._decode_singly(values)

    def _writer(self, header: bytes) -> AvroSchema | tuple[str, str]:
        """Return the writer's schema for a record's first bytes, or cause and detail if none."""
        if len(header) < HEADER_BYTES or header[:1] != MAGIC:
            found = header.hex() or "nothing"
            return (
                "not_confluent_framed",
                f"expected byte 0 and a 4-byte schema id, found {found}",
            )
        writer = self._writers.get(header)
        if writer is None:
            try:
                writer = self._schema_by_id(int.from_bytes(header[1:], "big"))
            except (DecodeError, SchemaError) as error:  # whose schema it is, nobody here chose
                return "unknown_schema_id", str(error)
            self._writers[header] = writer
        return writer

    def _decode_singly(self, values: Sequence[bytes | None]) -> Decoded:
        """Decode one by one what could not be decoded in one go, by Avro's resolution rules."""
        good: list[object] = []
        rows: list[int] = []
        bad: list[BadValue] = []
        headers = [value[:HEADER_BYTES] if value else b"" for value in values]
        # Once a batch: a registry must not be asked for each of thousands of bad records.
        writers = {header: self._writer(header) for header in dict.fromkeys(headers)}
        for row, (header, value) in enumerate(zip(headers, values, strict=True)):
            writer = writers[header]
            if not isinstance(writer, AvroSchema) or value is None:
                bad.append(BadValue(row, *writer))  # type: ignore[misc]  # a value has a header
                continue
            try:
                good.append(_decode_one(value[HEADER_BYTES:], writer, self._reader))
                rows.append(row)
            except DecodeError as error:
                bad.append(BadValue(row, "not_avro", str(error)))
        records = pa.RecordBatch.from_pylist(good, schema=self._reader.arrow)
        return Decoded(records, np.array(rows, np.int64), bad)


def _decode_all(bodies: list[bytes], schema: AvroSchema) -> pa.RecordBatch | None:
    """Return the columns of records written with this very schema, or None if one looks bad."""
    try:
        records = pyruhvro.deserialize_array(bodies, schema.text)
    except ValueError:
        return None
    # The fast decoder neither minds bytes left over nor text that is not UTF-8; the lengths tell,
    # at a fraction of the cost of decoding twice.
    lengths = np.fromiter(map(len, bodies), np.int64, len(bodies))
    if not np.array_equal(encoded_lengths(records, schema), lengths) or not _is_utf8(records):
        return None
    if any(_is_widest(column) for column in records.columns):
        return None
    return pa.RecordBatch.from_arrays(records.columns, schema=schema.arrow)


def _decode_one(body: bytes, writer: AvroSchema, reader: AvroSchema) -> object:
    stream = io.BytesIO(body)
    try:
        require_record(body, writer)
        record = fastavro.schemaless_reader(stream, writer.parsed, reader.parsed)
    except (
        EOFError,
        ValueError,  # bytes that are no number, no text
        IndexError,  # a union branch or enum symbol that is not there
        TypeError,
        OverflowError,
        fastavro.read.SchemaResolutionError,
        DecodeError,
    ) as error:
        cause = str(error)[:CAUSE_CHARACTERS_MAX]
        raise DecodeError(
            f"expected a record of {writer.name}, found {len(body)} bytes from "
            f"{body[:16].hex()}: {type(error).__name__}: {cause}"
        ) from error
    return record


def _is_widest(column: pa.Array) -> bool:
    """Tell whether a number takes as many bytes as any: the fast decoder may have cut off bits."""
    values = column.flatten() if pa.types.is_list(column.type) else column
    widest = _WIDEST.get(values.type)
    if widest is None or not len(values):
        return False
    span = pc.min_max(values).as_py()
    return span["min"] is not None and (span["min"] < -widest or span["max"] >= widest)


def _is_utf8(records: pa.RecordBatch) -> bool:
    try:
        for column in records.columns:
            if pa.types.is_string(column.type):
                column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
