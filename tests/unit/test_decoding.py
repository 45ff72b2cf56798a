"""Records of several partitions are decoded together to what each is by itself."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace import limits
from headrace.avro.schema import AvroSchema, load_schema
from headrace.avro.wire import Decoder, encode
from headrace.batch import Part
from headrace.byte_column import ByteColumn
from headrace.kafka.fetched import RawPart
from headrace.runtime.decoding import decode_part, decode_parts

SCHEMAS = Path(__file__).parents[2] / "benchmarks/projects/relay/schemas/avro"
SCHEMA = load_schema(SCHEMAS, "hop.v1")


def schema_of(number: int) -> AvroSchema:
    return {7: SCHEMA, 8: SCHEMA}[number]


def values_of(count: int, first: int, schema_id: int = 7) -> list[bytes | None]:
    columns = {}
    for field in SCHEMA.arrow:
        numbers = pa.array(range(first, first + count))
        is_text = field.type == pa.string()
        columns[field.name] = numbers.cast(pa.string()) if is_text else numbers.cast(field.type)
    records = pa.record_batch(columns, schema=SCHEMA.arrow)
    return list(encode(records, SCHEMA, schema_id))


def raw(partition: int, values: list[bytes | None]) -> RawPart:
    count = len(values)
    keys = ByteColumn(pa.array([b"key"] * count, pa.binary()))
    offsets = np.arange(100, 100 + count)
    return RawPart(
        "relay.hop0.v1",
        partition,
        ByteColumn(pa.array(values, pa.binary())),
        keys,
        offsets,
        offsets,
    )


def same(found: Part, expected: Part) -> bool:
    return (
        found.records.equals(expected.records)
        and found.values == expected.values
        and found.keys == expected.keys
        and found.partition == expected.partition
        and found.offsets.tolist() == expected.offsets.tolist()
    )


@pytest.mark.parametrize(
    "raws",
    [
        [raw(0, values_of(3, 0))],
        [raw(0, values_of(3, 0)), raw(5, values_of(1, 9)), raw(2, values_of(4, 20))],
        [raw(0, values_of(3, 0)), raw(1, values_of(2, 5, schema_id=8))],
        [raw(0, values_of(3, 0)), raw(1, [*values_of(2, 5), b"no record", None])],
        [raw(0, [None, *values_of(1, 0)]), raw(1, values_of(2, 5))],
        [raw(0, values_of(limits.DRAFT_RECORDS_MAX, 0)), raw(1, values_of(1, 5))],
    ],
    ids=["one", "several", "of two schemas", "one with bad records", "one without a value", "many"],
)
def test_parts_are_decoded_together_to_what_each_is_by_itself(raws: list[RawPart]) -> None:
    decoder = Decoder(SCHEMA, schema_of)

    found = decode_parts(raws, decoder)

    expected = [decode_part(each, decoder) for each in raws]
    assert len(found) == len(expected)
    for (part, bad), (own, own_bad) in zip(found, expected, strict=True):
        assert same(part, own)
        assert list(bad) == list(own_bad)


def test_few_records_of_many_partitions_are_decoded_in_one_go() -> None:
    decoder = Decoder(SCHEMA, schema_of)
    calls = []
    whole = decoder.decode
    decoder.decode = lambda values: calls.append(len(values)) or whole(values)  # type: ignore[method-assign, func-returns-value]

    decode_parts([raw(number, values_of(2, number)) for number in range(8)], decoder)

    assert calls == [16]
