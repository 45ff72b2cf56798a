"""Rows of records laid down as they lie in the log, without one Python object a record.

The rows are those `batch_kernels` reads: where each key and value lies, and how long it is.
Source:  Kafka's message format, version 2.
"""

from typing import Any

from headrace import memory
from headrace.batch import IntArray
from headrace.compiled import compiled
from headrace.kafka import batch_kernels, crc_kernel
from headrace.kafka.batch_kernels import (
    BATCH_BYTES_MIN,
    HEADERS,
    HEADERS_END,
    KEY,
    KEY_BYTES,
    STAMP,
    VALUE,
    VALUE_BYTES,
)
from headrace.kafka.crc_kernel import crc32c
from headrace.memory import copy_bytes, inlined, load_i32, store_u8, whole

RECORD_EXTRA_BYTES_MAX = 36
"""What a record takes beside its key, value and headers: numbers of its own, at their longest."""

_MAGIC = 2
_LENGTH_AT, _EPOCH_AT, _MAGIC_AT, _CRC_AT, _CHECKED_AT = 8, 12, 16, 17, 21
_GOES_ON = 0x80
_SEVEN_BITS = 0x7F
_NO_EPOCH = -1


@compiled(memory, batch_kernels)
def lay_out(table: IntArray, column: int, offsets: int, data: int) -> int:
    """Note of each row where its item lies, and how long it is; return how long all are.

    The items lie at `data`, each up to the next of the int32 at `offsets`.
    """
    first = begin = whole(load_i32(offsets))
    for index in range(len(table)):
        end = whole(load_i32(offsets + 4 * (index + 1)))
        table[index, column] = data + begin
        table[index, column + 1] = end - begin
        begin = end
    found: int = begin - first
    return found


@inlined
def _bytes_max(row: IntArray) -> int:
    headers_bytes = row[HEADERS_END] - row[HEADERS]
    size: int = RECORD_EXTRA_BYTES_MAX + max(row[KEY_BYTES], 0) + max(row[VALUE_BYTES], 0)
    size += headers_bytes
    return size


@compiled(memory, batch_kernels)
def rows_within(rows: IntArray, bytes_max: int) -> tuple[int, int]:
    """Return how many of the first records fit in so many bytes, and how many bytes they may take.

    The first does always.
    """
    room = 0
    for index in range(len(rows)):
        size = _bytes_max(rows[index])
        if index and room + size > bytes_max:
            return index, room
        room += size
    return len(rows), room


@compiled(memory, batch_kernels)
def sort_by_partition(
    rows: IntArray, partitions: IntArray, into: IntArray, ends: IntArray, sizes: IntArray
) -> None:
    """Write the rows partition by partition, each partition's in the order they have.

    Shapes:  `ends` and `sizes` one zero a partition: where its rows end in `into`, and how many
             bytes they may take.
    """
    for index in range(len(rows)):
        ends[partitions[index]] += 1
    first = 0
    for partition in range(len(ends)):
        first += ends[partition]
        ends[partition] = first - ends[partition]
    for index in range(len(rows)):
        partition = partitions[index]
        into[ends[partition]] = rows[index]
        ends[partition] += 1
        sizes[partition] += _bytes_max(rows[index])


@inlined
def _zigzag(number: int) -> int:
    found: int = number << 1 ^ number >> 63
    return found


@inlined
def _varint_bytes(number: int) -> int:
    rest, count = _zigzag(number) >> 7, 1
    while rest:
        rest >>= 7
        count += 1
    return count


@inlined
def _put_varint(at: int, number: int) -> int:
    """Lay a number down; return the place behind it."""
    rest = whole(_zigzag(number))
    while rest > _SEVEN_BITS:
        store_u8(at, rest & _SEVEN_BITS | _GOES_ON)
        rest >>= 7
        at += 1
    store_u8(at, rest)
    return at + 1


@inlined
def _put_bytes(at: int, source: int, size: int) -> int:
    """Lay bytes down behind their length, which is -1 if there are none at all."""
    at = _put_varint(at, size)
    if size > 0:
        copy_bytes(at, source, size)
        at += size
    return at


@compiled(memory, batch_kernels)
def write_records(rows: IntArray, to: int) -> int:
    """Lay records down, in this order; return the place behind the last.

    Shapes:  `rows` (n, RECORD_WORDS), at least one; HEADERS is 0, or where a record's headers lie
             as they are written, up to HEADERS_END.
    """
    at = to
    first_stamp = rows[0, STAMP]
    for index in range(len(rows)):
        row = rows[index]
        stamp = row[STAMP] - first_stamp
        size = 1 + _varint_bytes(stamp) + _varint_bytes(index)
        size += _varint_bytes(row[KEY_BYTES]) + max(row[KEY_BYTES], 0)
        size += _varint_bytes(row[VALUE_BYTES]) + max(row[VALUE_BYTES], 0)
        headers_bytes = row[HEADERS_END] - row[HEADERS]
        size += max(headers_bytes, 1)
        at = _put_varint(at, size)
        store_u8(at, 0)
        at = _put_varint(at + 1, stamp)
        at = _put_varint(at, index)
        at = _put_bytes(at, row[KEY], row[KEY_BYTES])
        at = _put_bytes(at, row[VALUE], row[VALUE_BYTES])
        if headers_bytes:
            copy_bytes(at, row[HEADERS], headers_bytes)
            at += headers_bytes
        else:
            store_u8(at, 0)
            at += 1
    return at


@inlined
def _put_number(at: int, number: int, size: int) -> None:
    """Lay a number of so many bytes down, the highest first."""
    for place in range(size):
        store_u8(at + place, number >> 8 * (size - 1 - place) & 0xFF)


@compiled(memory, batch_kernels, crc_kernel)
def seal(at: int, body_bytes: int, attributes: int, rows: IntArray, writer: IntArray) -> None:
    """Write the head of a batch whose records lie, packed or not, BATCH_BYTES_MIN behind `at`.

    Shapes:  `writer` (3,): the producer's number, its epoch, and the sequence of the first record.
    """
    count = len(rows)
    first = last = rows[0, STAMP]
    for index in range(count):
        last = max(last, rows[index, STAMP])
    _put_number(at, 0, 8)  # the broker says at which offset
    _put_number(at + _LENGTH_AT, BATCH_BYTES_MIN - _EPOCH_AT + body_bytes, 4)
    _put_number(at + _EPOCH_AT, _NO_EPOCH, 4)
    store_u8(at + _MAGIC_AT, _MAGIC)
    _put_number(at + _CHECKED_AT, attributes, 2)
    _put_number(at + 23, count - 1, 4)
    _put_number(at + 27, first, 8)
    _put_number(at + 35, last, 8)
    _put_number(at + 43, writer[0], 8)
    _put_number(at + 51, writer[1], 2)
    _put_number(at + 53, writer[2], 4)
    _put_number(at + 57, count, 4)
    checked: Any = crc32c(at + _CHECKED_AT, BATCH_BYTES_MIN - _CHECKED_AT + body_bytes)
    _put_number(at + _CRC_AT, checked, 4)
