"""Columns are written as the format says, and read back as they were."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.byte_column import ByteColumn
from headrace.kafka.batch_writing import (
    PACKED_BYTES_MIN,
    Rows,
    batch_of,
    by_partition,
    joined,
    lz4_frame,
    rows_of,
)
from headrace.kafka.fetched import RawPart
from headrace.kafka.lz4_kernel import SLACK_BYTES
from headrace.kafka.produce_wire import Producer
from headrace.kafka.record_batches import read_part
from tests.record_batches import Written, batch

PLACE = ("test.number.v1", 3)
NOBODY = Producer(-1, 0)
STAMP_MS = 1_700_000_000_123
BYTES = st.one_of(st.none(), st.binary(max_size=9))
HEADERS = st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=3)), max_size=2)
RECORDS = st.lists(st.tuples(BYTES, BYTES, HEADERS), min_size=1, max_size=12)


def written(rows: Rows, producer: Producer = NOBODY, sequence: int = 0) -> bytes:
    return bytes(batch_of(rows, producer, sequence, is_transactional=False))


def read(content: bytes) -> RawPart:
    data = np.frombuffer(content + bytes(SLACK_BYTES), np.uint8)
    part, _ = read_part(data, len(content), PLACE, 0, ())
    assert part is not None
    return part


@given(RECORDS)
def test_a_batch_is_to_the_byte_what_the_format_says(
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]],
) -> None:
    keys, values, headers = zip(*records, strict=True)

    found = written(rows_of(values, keys, STAMP_MS, headers))

    expected = [Written(n, STAMP_MS, *record) for n, record in enumerate(records)]
    assert len(found) < PACKED_BYTES_MIN
    # But for the leader's epoch, which is the broker's to say.
    assert (found[:12], found[16:]) == ((whole := batch(expected))[:12], whole[16:])


def test_who_writes_is_said_and_that_it_is_a_transaction() -> None:
    found = bytes(batch_of(rows_of([b"v"], [b"k"], 5), Producer(7, 3), 11, is_transactional=True))

    number, epoch, sequence = found[43:51], found[51:53], found[53:57]
    assert [int.from_bytes(b, "big") for b in (number, epoch, sequence)] == [7, 3, 11]
    assert int.from_bytes(found[21:23], "big") == 0x10


@pytest.mark.parametrize("count", [300, 40_000])
def test_many_are_packed_and_read_back(count: int) -> None:
    chance = random.Random(count)  # noqa: S311  (no secret)
    values = [chance.choice([None, b"", b"value" * 9, chance.randbytes(70)]) for _ in range(count)]
    keys = [chance.choice([None, b"", b"key%d" % n]) for n in range(count)]

    found = written(rows_of(values, keys, STAMP_MS))

    part = read(found)
    assert list(part.values) == values
    assert list(part.keys) == keys
    assert set(part.timestamps_ms.tolist()) == {STAMP_MS}
    assert len(found) < sum(len(v or b"") for v in values) + 10 * count


def test_what_cannot_be_packed_is_left_as_it_is() -> None:
    value = random.Random(1).randbytes(5 * 2**20)  # noqa: S311  (no secret)

    found = written(rows_of([value], [None], STAMP_MS))

    assert int.from_bytes(found[21:23], "big") == 0
    assert list(read(found).values) == [value]


def test_a_frame_of_several_blocks_is_one_that_others_read() -> None:
    body = np.frombuffer(random.Random(2).randbytes(2**20) * 9, np.uint8)  # noqa: S311

    frame = lz4_frame(body)

    assert pa.Codec("lz4").decompress(frame, len(body)).to_pybytes() == body.tobytes()


def test_rows_of_a_slice_are_its_own() -> None:
    column = ByteColumn(pa.array([b"a", None, b"ccc", b"dd"], pa.binary()))

    found = read(written(rows_of(column[1:3], column[2:4], STAMP_MS)))

    assert list(found.values) == [None, b"ccc"]
    assert list(found.keys) == [b"ccc", b"dd"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_each_partition_gets_its_own_in_order(partitions: list[int]) -> None:
    values = [b"%d" % number for number in range(len(partitions))]

    whole = rows_of(values, values, STAMP_MS)
    runs = by_partition(whole, np.array(partitions))

    found = {partition: list(read(written(rows)).values) for partition, rows in runs}
    expected = {
        partition: [v for v, p in zip(values, partitions, strict=True) if p == partition]
        for partition in set(partitions)
    }
    assert found == expected
    assert sum(rows.bytes for _, rows in runs) == whole.bytes


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=20), st.integers(1, 500))
def test_what_is_cut_is_joined_again(values: list[bytes], bytes_max: int) -> None:
    rows = rows_of(values, values, STAMP_MS)

    first, rest = rows.cut(bytes_max)

    assert first.bytes <= bytes_max or len(first) == 1
    assert first.bytes + rest.bytes == rows.bytes
    assert list(read(written(joined([first, rest]))).values) == values
