"""Avro in columns: what kernels do not vouch for, how Arrow's arrays may lie, what is refused."""

import json
from struct import pack
from typing import Any

import pyarrow as pa
import pytest

from headrace.avro.reading import read_columns
from headrace.avro.schema import AvroSchema, parse_schema
from headrace.avro.wire import Decoded, Decoder, encode
from headrace.byte_column import ByteColumn
from headrace.errors import InvariantError, SchemaError

SIDE = {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}
HEADER = b"\x00\x00\x00\x00\x07"


def encode_column(records: pa.RecordBatch, schema: AvroSchema, schema_id: int) -> pa.BinaryArray:
    return encode(records, schema, schema_id).array


def decode_column(
    schema: AvroSchema, schemas: dict[int, AvroSchema], values: pa.BinaryArray
) -> Decoded:
    return Decoder(schema, schemas.__getitem__).decode(ByteColumn(values))


def schema_of(*types: Any) -> AvroSchema:
    fields = [{"name": f"x{place}", "type": avro} for place, avro in enumerate(types)]
    return parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields}), "test")


def array_of(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def framed(*bodies: bytes) -> pa.BinaryArray:
    return pa.array([HEADER + body for body in bodies], pa.binary())


ODD = {
    "an int of 33 bits": ("int", b"\x02", b"\x80\x80\x80\x80\x10"),
    "a long of 11 bytes": ("long", b"\x02", b"\xff" * 10 + b"\x01"),
    "a long of 65 bits": ("long", b"\x02", b"\xff" * 9 + b"\x02"),
    "a long of one byte in two": ("long", b"\x02", b"\x82\x00"),
    "a long of eight bytes in nine": ("long", b"\x02", b"\xff" * 8 + b"\x00"),
    "a long of nine bytes in ten": ("long", b"\x02", b"\xff" * 9 + b"\x00"),
    "a long without its last byte": ("long", b"\x02", b"\x80"),
    "a long that is missing": ("long", b"\x02", b""),
    "bytes left over": ("long", b"\x02", b"\x02\x00"),
    "a boolean 2": ("boolean", b"\x01", b"\x02"),
    "a boolean that is missing": ("boolean", b"\x01", b""),
    "a double of seven bytes": ("double", pack("<d", 0.5), b"\x00" * 7),
    "a float of three bytes": ("float", pack("<f", 0.5), b"\x00" * 3),
    "a string longer than the record": ("string", b"\x02a", b"\x04a"),
    "a string of 2**62 bytes": ("string", b"\x02a", b"\xfe" + b"\xff" * 8 + b"\x01"),
    "a string of length -1": ("string", b"\x02a", b"\x01"),
    "an enum's symbol 2 of 2": (SIDE, b"\x02", b"\x04"),
    "an enum's symbol -1": (SIDE, b"\x02", b"\x01"),
    "a union's branch 2 of 2": (["null", "long"], b"\x02\x02", b"\x04\x02"),
    "a union's branch -1": (["null", "long"], b"\x02\x02", b"\x01\x02"),
    "a union's branch that is missing": (["long", "null"], b"\x02", b""),
    "a union's branch in two bytes": (["null", "long"], b"\x02\x02", b"\x82\x00\x02"),
    "an array in two blocks": (array_of("long"), b"\x04\x02\x02\x00", b"\x02\x02\x02\x02\x00"),
    "an array with the size of its block": (array_of("long"), b"\x02\x02\x00", b"\x01\x02\x02\x00"),
    "an array of more items than bytes": (array_of("long"), b"\x02\x02\x00", b"\x08\x02\x00"),
    "an array of 2**62 items": (array_of("long"), b"\x00", b"\xfe" + b"\xff" * 8 + b"\x01"),
    "an array without its end": (array_of("long"), b"\x02\x02\x00", b"\x02\x02"),
    "an odd item in an array": (array_of("boolean"), b"\x02\x01\x00", b"\x02\x02\x00"),
}


@pytest.mark.parametrize(("avro", "good", "odd"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("is_last", [False, True], ids=["amid", "at the end"])
def test_kernel_stops_at_what_is_odd(avro: Any, good: bytes, odd: bytes, is_last: bool) -> None:
    schema = schema_of(avro)
    after = () if is_last else (good,) * 20

    assert read_columns(framed(good, odd, *after), schema) == 1
    assert not isinstance(read_columns(framed(good, good, *after), schema), int)


@pytest.mark.parametrize("header", [b"\x00\x00\x00\x00\x08", b"\x01\x00\x00\x00\x07", b"\x00", b""])
def test_kernel_stops_at_another_header(header: bytes) -> None:
    values = pa.array([HEADER + b"\x02", header + b"\x02" * bool(header)], pa.binary())

    assert read_columns(values, schema_of("long")) == 1


@pytest.mark.parametrize("avro", ["string", array_of("string"), ["null", "string"]])
@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
def test_text_that_is_not_utf8_is_bad_and_its_neighbours_are_not(avro: Any, text: bytes) -> None:
    before, after = {"string": (b"", b""), "array": (b"\x02", b"\x00")}.get(
        avro["type"] if isinstance(avro, dict) else str(avro), (b"\x02", b"")
    )
    good = before + b"\x04" + "é".encode() + after
    bad = before + bytes([2 * len(text)]) + text + after
    schema = schema_of(avro)

    decoded = decode_column(schema, {7: schema}, framed(good, bad, good))

    assert [(one.row, one.cause) for one in decoded.bad] == [(1, "not_avro")]
    assert decoded.rows.tolist() == [0, 2]


def test_character_cut_in_two_by_its_records_is_bad_in_both() -> None:
    schema = schema_of("string")
    first, second = "é".encode()[:1], "é".encode()[1:]

    decoded = decode_column(schema, {7: schema}, framed(b"\x02" + first, b"\x02" + second))

    assert [one.row for one in decoded.bad] == [0, 1]


def test_null_and_another_header_send_a_column_the_slow_way_and_lose_none() -> None:
    schema = schema_of("long")
    values = pa.array([HEADER + b"\x02", None, b"\x00\x00\x00\x00\x08\x04", b""], pa.binary())

    decoded = decode_column(schema, {7: schema, 8: schema}, values)

    assert decoded.records.to_pydict() == {"x0": [1, 2]}
    assert decoded.rows.tolist() == [0, 2]
    assert [(one.row, one.cause) for one in decoded.bad] == [
        (1, "not_confluent_framed"),
        (3, "not_confluent_framed"),
    ]


def test_a_decoder_that_keeps_tombstones_gives_a_row_of_nulls_for_each() -> None:
    schema = schema_of("long", "string")
    good, odd = HEADER + b"\x02\x02a", HEADER + b"\x80"
    values = ByteColumn(pa.array([None, good, odd, None, good, b""], pa.binary()))

    decoded = Decoder(schema, {7: schema}.__getitem__, keeps_tombstones=True).decode(values)

    assert decoded.records.schema == schema.arrow
    assert decoded.records.to_pydict() == {"x0": [None, 1, None, 1], "x1": [None, "a", None, "a"]}
    assert decoded.rows.tolist() == [0, 1, 3, 4]
    assert [(one.row, one.cause) for one in decoded.bad] == [
        (2, "not_avro"),
        (5, "not_confluent_framed"),
    ]


def test_a_column_of_tombstones_alone_is_rows_of_nulls() -> None:
    schema = schema_of("long")
    values = ByteColumn(pa.nulls(3, pa.binary()))

    decoded = Decoder(schema, {7: schema}.__getitem__, keeps_tombstones=True).decode(values)

    assert decoded.records.to_pydict() == {"x0": [None] * 3}
    assert decoded.rows.tolist() == [0, 1, 2]


def test_number_longer_than_it_need_be_is_read_all_the_same() -> None:
    schema = schema_of("long")

    decoded = decode_column(schema, {7: schema}, framed(b"\x02", b"\x82\x00"))

    assert decoded.records.to_pydict() == {"x0": [1, 1]}


@pytest.mark.parametrize("kind", [pa.large_binary(), pa.string(), pa.binary_view()])
def test_column_of_another_type_is_a_bug(kind: pa.DataType) -> None:
    schema = schema_of("long")

    with pytest.raises(InvariantError, match="expected a column of binary"):
        decode_column(schema, {7: schema}, pa.array([], kind))


def test_no_records_are_no_rows_either_way() -> None:
    schema = schema_of("string", array_of(["null", "long"]))
    none = pa.RecordBatch.from_pylist([], schema=schema.arrow)

    written = encode_column(none, schema, 7)
    decoded = decode_column(schema, {7: schema}, written)

    assert written.equals(pa.array([], pa.binary()))
    assert decoded.records.equals(none)


def test_record_without_fields_is_its_header() -> None:
    schema = schema_of()
    none = pa.RecordBatch.from_pylist([], schema=schema.arrow)

    assert encode_column(none, schema, 7).to_pylist() == []
    decoded = decode_column(schema, {7: schema}, framed(b"", b"\x02"))
    assert [one.row for one in decoded.bad] == [1]


def test_arrays_that_begin_anywhere_in_their_items_are_written() -> None:
    """Items before the first array, a null with items of its own, items that are a slice."""
    items = pa.array([9, 9, 1, 2, 3, 4], pa.int64()).slice(1)
    offsets = pa.array([1, 2, 4, 5], pa.int32())
    mask = pa.array([False, True, False])
    lists = pa.ListArray.from_arrays(offsets, items, mask=mask)
    schema = schema_of(["null", array_of("long")])

    column = encode_column(pa.RecordBatch.from_arrays([lists], ["x0"]), schema, 7)

    assert column.equals(framed(b"\x02\x02\x02\x00", b"\x00", b"\x02\x02\x08\x00"))


def test_null_item_outside_of_every_array_is_none_of_theirs() -> None:
    items = pa.array([None, 1], pa.int64())
    lists = pa.ListArray.from_arrays(pa.array([1, 2], pa.int32()), items)

    column = encode_column(
        pa.RecordBatch.from_arrays([lists], ["x0"]), schema_of(array_of("long")), 7
    )

    assert column.equals(framed(b"\x02\x02\x00"))


REFUSED = {
    "another name": ("long", pa.array([1, 2]), "y", "expected the columns"),
    "an int for a long": (
        "long",
        pa.array([1, 2], pa.int32()),
        "x0",
        "expected int64, found int32",
    ),
    "a timestamp": ("long", pa.array([1, 2], pa.timestamp("ns")), "x0", "expected int64"),
    "a dictionary": (
        "string",
        pa.array(["a", "b"]).dictionary_encode(),
        "x0",
        "expected string, found dictionary",
    ),
    "a large string": ("string", pa.array(["a"], pa.large_string()), "x0", "expected string"),
    "items of another type": (
        array_of("long"),
        pa.array([[1.0]]),
        "x0",
        r"column x0\[\]: expected int64, found double",
    ),
    "a null": ("long", pa.array([1, None]), "x0", "row 1: column x0: expected no null, found None"),
    "a null text": ("string", pa.array(["a", None]), "x0", "row 1: column x0: expected no null"),
    "a null item": (
        array_of("long"),
        pa.array([[1], [2, None]]),
        "x0",
        r"row 1: column x0\[\]: expected no null, found \[2, None\]",
    ),
    "a symbol that is none": (
        SIDE,
        pa.array(["BUY", "BUYS"]),
        "x0",
        "row 1: column x0: expected a symbol of its enum, found 'BUYS'",
    ),
    "a null for a symbol": (SIDE, pa.array(["BUY", None]), "x0", "expected a symbol of its enum"),
    "an unknown symbol among nulls": (
        ["null", SIDE],
        pa.array([None, "buy"]),
        "x0",
        "row 1: column x0: expected a symbol of its enum, found 'buy'",
    ),
}


@pytest.mark.parametrize(("avro", "column", "name", "message"), REFUSED.values(), ids=REFUSED)
def test_columns_that_are_not_the_schema_s_are_refused_in_words(
    avro: Any, column: pa.Array, name: str, message: str
) -> None:
    records = pa.RecordBatch.from_arrays([column], [name])

    with pytest.raises(InvariantError, match=message):
        encode_column(records, schema_of(avro), 7)


@pytest.mark.parametrize("items", [SIDE, {"type": "long"}, ["null", "long"], array_of("long")])
def test_array_of_types_written_as_objects_is_read_the_slow_way_too(items: Any) -> None:
    """The strict reader once took such items for a mistake of the record."""
    schema = schema_of(array_of(items))
    records = [HEADER + b"\x00", HEADER + b"\x02\x00\x00"]

    decoded = Decoder(schema, {7: schema}.__getitem__).decode([*records, b""])

    assert [one.row for one in decoded.bad] == [2]


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"record","name":"a b","fields":[]}',
        '{"type":"record","name":"A","namespace":"1","fields":[]}',
        '{"type":"record","name":"A","fields":{}}',
        '{"type":"record","name":"A","fields":[],"doc":"\\ud800"}',
        '{"type":"record","name":"A","fields":[],"limit":Infinity}',
        '{"type":"record","name":"A","fields":[{"name":"x","type":["null","int"],"default":1}]}',
        (
            '{"type":"record","name":"A","fields":[{"name":"x","type":{"type":"enum","name":"E",'
            '"symbols":"AB"}}]}'
        ),
    ],
    ids=[
        "a blank in a name",
        "a number as namespace",
        "fields by name",
        "half a character",
        "a number without end",
        "a default of the second branch",
        "symbols in one word",
    ],
)
def test_schema_other_readers_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(SchemaError, match="expected"):
        parse_schema(text, "test")
