"""The Confluent wire format, a batch at a time: byte 0, the schema's id, the Avro record."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import fastavro
import numpy as np
import pyarrow as pa

from headrace.avro.reading import read_columns
from headrace.avro.schema import AvroSchema
from headrace.avro.strict import require_record
from headrace.avro.writing import write_column
from headrace.batch import IntArray
from headrace.byte_column import ByteColumn, column_of
from headrace.errors import DecodeError, InvariantError, SchemaError

HEADER_BYTES = 5
MAGIC = b"\x00"

GONE = -1
"""No place among the records that have a value."""

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


def encode(records: pa.RecordBatch, schema: AvroSchema, schema_id: int) -> ByteColumn:
    """Return each row as a Confluent-framed Avro record.

    Raises:  InvariantError if the columns are not those of the schema: the agent is wrong.
    """
    if records.schema.names != schema.arrow.names:
        raise InvariantError(
            f"schema {schema.name}: expected the columns {schema.arrow.names}, "
            f"found {records.schema.names}"
        )
    return ByteColumn(write_column(records, schema, MAGIC + schema_id.to_bytes(4, "big")))


class Decoder:
    """Decodes the records of one topic into the columns of the schema its readers use.

    With `keeps_tombstones` a record without a value is a row of nulls; else it is bad.
    """

    def __init__(
        self, reader: AvroSchema, schema_by_id: SchemaById, *, keeps_tombstones: bool = False
    ) -> None:
        self._reader = reader
        self._schema_by_id = schema_by_id
        self._keeps_tombstones = keeps_tombstones
        self._writers: dict[bytes, AvroSchema] = {}

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Return the columns of these records, and which of them are none.

        A record that is not Confluent-framed, names an unknown schema, ends early or late, or
        holds what its schema does not allow is bad; its neighbours are not.
        """
        column = column_of(values)
        if self._keeps_tombstones and column.null_count:
            return self._decode_around(column)
        if len(column) and not column.null_count and self._reader.fields:
            writer = self._writer(column[0].as_py()[:HEADER_BYTES])
            if isinstance(writer, AvroSchema) and writer.text == self._reader.text:
                records = read_columns(column, self._reader)
                if not isinstance(records, int):
                    return Decoded(records, np.arange(len(column), dtype=np.int64), ())
        return self._decode_singly(column.to_pylist())

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

    def _decode_around(self, column: pa.BinaryArray) -> Decoded:
        """Decode what has a value; a row of nulls stands for what has none."""
        present = np.flatnonzero(column.is_valid())
        decoded = self.decode(ByteColumn(column.take(pa.array(present))))
        gone = np.flatnonzero(column.is_null())
        places = np.full(len(column), GONE)
        places[present[decoded.rows]] = np.arange(len(decoded.rows))
        rows = np.sort(np.concatenate([present[decoded.rows], gone]))
        found = places[rows]
        records = decoded.records.take(pa.array(found, mask=found == GONE))
        bad = [replace(value, row=int(present[value.row])) for value in decoded.bad]
        return Decoded(records, rows, bad)

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
            except fastavro.read.SchemaResolutionError as error:
                bad.append(BadValue(row, "schema_mismatch", self._mismatch(header, writer, error)))
        records = pa.RecordBatch.from_pylist(good, schema=self._reader.arrow)
        return Decoded(records, np.array(rows, np.int64), bad)

    def _mismatch(self, header: bytes, writer: AvroSchema, error: Exception) -> str:
        number = int.from_bytes(header[1:], "big")
        return (
            f"expected what schema {self._reader.name} can be read from, found {writer.name} of "
            f"schema id {number}: {str(error)[:CAUSE_CHARACTERS_MAX]}; give the field a default "
            "here, or change the writer's schema within the topic's compatibility"
        )


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
        DecodeError,
    ) as error:
        cause = str(error)[:CAUSE_CHARACTERS_MAX]
        raise DecodeError(
            f"expected a record of {writer.name}, found {len(body)} bytes from "
            f"{body[:16].hex()}: {type(error).__name__}: {cause}"
        ) from error
    return record
