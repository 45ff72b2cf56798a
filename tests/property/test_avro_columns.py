"""The compiled codec writes what Avro's own library writes, and takes no byte for another value."""

import io
from typing import Any

import fastavro
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from headrace.avro.reading import read_columns
from headrace.avro.schema import AvroSchema
from headrace.avro.wire import Decoder, encode
from tests.avro_schemas import records_of, schemas

HEADER = b"\x00\x00\x00\x00\x07"
ODD_BYTES = [b"\x00", b"\x01", b"\x02", b"\x03", b"\x7f", b"\x80", b"\xff", b"\xc3"]


@st.composite
def batches(draw: st.DrawFn, rows_max: int = 12) -> tuple[AvroSchema, list[dict[str, Any]]]:
    schema = draw(schemas())
    return schema, draw(records_of(schema, rows_max))


def columns_of(schema: AvroSchema, records: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(records, schema=schema.arrow)


def written_by_fastavro(schema: AvroSchema, records: list[dict[str, Any]]) -> list[bytes]:
    values = []
    for record in records:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema.parsed, record)
        values.append(HEADER + stream.getvalue())
    return values


@given(batches())
def test_records_are_written_as_fastavro_writes_them(
    batch: tuple[AvroSchema, list[dict[str, Any]]],
) -> None:
    schema, records = batch

    column = encode(columns_of(schema, records), schema, 7).array

    column.validate(full=True)
    assert column.to_pylist() == written_by_fastavro(schema, records)


@given(batches())
def test_what_fastavro_writes_is_read_without_the_slow_way(
    batch: tuple[AvroSchema, list[dict[str, Any]]],
) -> None:
    schema, records = batch

    found = read_columns(pa.array(written_by_fastavro(schema, records), pa.binary()), schema)

    assert not isinstance(found, int), f"row {found} is not vouched for"
    found.validate(full=True)
    assert found.schema.equals(schema.arrow)
    assert found.equals(columns_of(schema, records))


@given(batches(), st.data())
def test_part_of_a_batch_is_written_and_read_like_a_batch_of_its_own(
    batch: tuple[AvroSchema, list[dict[str, Any]]], data: st.DataObject
) -> None:
    schema, records = batch
    begin = data.draw(st.integers(0, len(records) - 1))
    rows = data.draw(st.integers(1, len(records) - begin))
    columns, wanted = columns_of(schema, records), records[begin : begin + rows]

    written = encode(columns.slice(begin, rows), schema, 7).array
    found = read_columns(encode(columns, schema, 7).array.slice(begin, rows), schema)

    assert written.to_pylist() == written_by_fastavro(schema, wanted)
    assert found.equals(columns_of(schema, wanted))
    assert list(encode(found.slice(rows - 1), schema, 7)) == written.to_pylist()[-1:]


@given(batches(rows_max=4), st.data())
def test_spoiled_record_is_judged_as_it_is_alone(
    batch: tuple[AvroSchema, list[dict[str, Any]]], data: st.DataObject
) -> None:
    """Whatever the kernel takes, the strict reader takes for the same; it decides on the rest."""
    schema, records = batch
    values = written_by_fastavro(schema, records)
    place = data.draw(st.integers(0, len(values) - 1))
    for _ in range(data.draw(st.integers(1, 3))):
        values[place] = spoiled(values[place], data)
    decoder = Decoder(schema, {7: schema}.__getitem__)

    decoded = decoder.decode(values)

    alone = decoder._decode_singly(values)
    decoded.records.validate(full=True)
    assert list(decoded.bad) == list(alone.bad)
    assert decoded.rows.tolist() == alone.rows.tolist()
    assert repr(decoded.records.to_pylist()) == repr(alone.records.to_pylist())


def spoiled(value: bytes, data: st.DataObject) -> bytes:
    """Return a record with odd bytes in place of some behind its header."""
    begin = data.draw(st.integers(len(HEADER), max(len(HEADER), len(value))))
    cut = data.draw(st.sampled_from([0, 0, 1, 1, 1, 2, 8, len(value)]))
    odd = data.draw(st.sampled_from([b"", *ODD_BYTES, b"\x80\x00", b"\xff" * 9]))
    return value[:begin] + odd + value[begin + cut :]
