"""The wire format carries every record there and back, and knows one that is none."""

import io
import json

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.avro.schema import AvroSchema, parse_schema
from headrace.avro.wire import Decoder, encode
from headrace.errors import DecodeError

SCHEMA = parse_schema(
    json.dumps(
        {
            "type": "record",
            "name": "Sample",
            "fields": [
                {"name": "text", "type": "string"},
                {"name": "count", "type": "long"},
                {"name": "small", "type": "int"},
                {"name": "maybe", "type": ["null", "long"], "default": None},
                {"name": "ratio", "type": "double"},
                {"name": "is_on", "type": "boolean"},
                {"name": "side", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
                {"name": "levels", "type": {"type": "array", "items": "long"}},
            ],
        }
    ),
    "test",
)
INT64 = st.integers(-(2**63), 2**63 - 1)
RECORD = st.fixed_dictionaries(
    {
        "text": st.text(),
        "count": INT64,
        "small": st.integers(-(2**31), 2**31 - 1),
        "maybe": st.none() | INT64,
        "ratio": st.floats(allow_nan=False),
        "is_on": st.booleans(),
        "side": st.sampled_from(["A", "B"]),
        "levels": st.lists(INT64, max_size=5),
    }
)


def schema_by_id(schema_id: int) -> AvroSchema:
    if schema_id != 7:
        raise DecodeError(f"schema id {schema_id} is not registered")
    return SCHEMA


@given(st.lists(RECORD, min_size=1, max_size=20))
def test_records_survive_the_wire_and_any_avro_reader_reads_them(
    records: list[dict[str, object]],
) -> None:
    columns = pa.RecordBatch.from_pylist(records, schema=SCHEMA.arrow)

    values = encode(columns, SCHEMA, 7)
    decoded = Decoder(SCHEMA, schema_by_id).decode(values)

    assert decoded.records.equals(columns)
    for value, record in zip(values, records, strict=True):
        assert fastavro.schemaless_reader(io.BytesIO(value[5:]), SCHEMA.parsed, None) == record


@given(st.lists(RECORD, min_size=2, max_size=5), st.binary(max_size=40), st.data())
def test_a_bad_record_never_takes_its_neighbours_with_it(
    records: list[dict[str, object]], noise: bytes, data: st.DataObject
) -> None:
    columns = pa.RecordBatch.from_pylist(records, schema=SCHEMA.arrow)
    values: list[bytes | None] = list(encode(columns, SCHEMA, 7))
    place = data.draw(st.integers(0, len(values) - 1))
    original = values[place]
    assert original is not None
    cut = data.draw(st.integers(0, len(original) - 1))
    values[place] = data.draw(st.sampled_from([noise, original[:cut], original + b"\x00", None]))

    decoded = Decoder(SCHEMA, schema_by_id).decode(values)

    others = [row for row in range(len(values)) if row != place]
    kept = dict(zip(decoded.rows.tolist(), decoded.records.to_pylist(), strict=True))
    assert [kept[row] for row in others] == [records[row] for row in others]
    assert {bad.row for bad in decoded.bad} | set(kept) == set(range(len(values)))


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (None, "not_confluent_framed"),
        (b"", "not_confluent_framed"),
        (b"{}", "not_confluent_framed"),
        (b"\x01\x00\x00\x00\x07", "not_confluent_framed"),
        (b"\x00\x00\x00\x00\x08\x00", "unknown_schema_id"),
        (b"\x00\x00\x00\x00\x07\x00", "not_avro"),
        (b"\x00\x00\x00\x00\x07" + b"\xff" * 12, "not_avro"),
    ],
)
def test_the_cause_of_a_bad_record_is_named(value: bytes | None, cause: str) -> None:
    decoded = Decoder(SCHEMA, schema_by_id).decode([value])

    assert [bad.cause for bad in decoded.bad] == [cause]
    assert decoded.records.num_rows == 0


def test_a_record_of_an_older_schema_is_read_by_its_rules() -> None:
    old = parse_schema(
        '{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}', "old schema"
    )
    new = parse_schema(
        '{"type":"record","name":"R","fields":[{"name":"a","type":"long"},'
        '{"name":"b","type":"string","default":"none"}]}',
        "new schema",
    )
    values = [
        *encode(pa.RecordBatch.from_pylist([{"a": 1}], schema=old.arrow), old, 1),
        *encode(pa.RecordBatch.from_pylist([{"a": 2, "b": "x"}], schema=new.arrow), new, 2),
    ]

    decoded = Decoder(new, {1: old, 2: new}.__getitem__).decode(values)

    assert decoded.records.to_pylist() == [{"a": 1, "b": "none"}, {"a": 2, "b": "x"}]


def test_a_record_whose_schema_says_too_little_is_bad_by_its_schema_and_named() -> None:
    """Its neighbour of another schema is read: what the reader needs has no default."""
    field = '{"name":"a","type":"long"}'
    reader = parse_schema(f'{{"type":"record","name":"R","fields":[{field}]}}', "reader")
    bare = parse_schema(
        '{"type":"record","name":"R","fields":[{"name":"b","type":"long"}]}', "bare"
    )
    values = [
        *encode(pa.RecordBatch.from_pylist([{"b": 1}], schema=bare.arrow), bare, 5),
        *encode(pa.RecordBatch.from_pylist([{"a": 2}], schema=reader.arrow), reader, 6),
    ]

    decoded = Decoder(reader, {5: bare, 6: reader}.__getitem__).decode(values)

    assert decoded.records.to_pylist() == [{"a": 2}]
    assert [(bad.row, bad.cause) for bad in decoded.bad] == [(0, "schema_mismatch")]
    assert "schema id 5" in decoded.bad[0].detail
    assert "field a" in decoded.bad[0].detail
