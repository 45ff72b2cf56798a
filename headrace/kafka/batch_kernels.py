"""Record batches as they lie in the log, read into columns without one Python object a record.

Addresses are int64; the kernels run without the interpreter's lock. Every length is held against
the end of what it lies in before a byte is touched.
Source:  Kafka's message format, version 2.
"""

from typing import Any

from headrace import memory
from headrace.batch import IntArray
from headrace.compiled import compiled
from headrace.kafka import crc_kernel
from headrace.kafka.crc_kernel import crc32c
from headrace.memory import copy_bytes, inlined, load_i32, load_u8, load_u16, whole

BATCH_BYTES_MIN = 61
RECORD_BYTES_MIN = 7
BATCH_WORDS = 9
BODY, BODY_BYTES, FIRST_OFFSET, NEXT_OFFSET, ATTRIBUTES, RECORDS = range(6)
FIRST_STAMP, LAST_STAMP, PRODUCER = range(6, 9)
"""Of a batch: where its records lie, packed or not, and what its head says of them."""

CODEC, IS_LOG_TIME, IS_TRANSACTIONAL, IS_CONTROL = 0x07, 0x08, 0x10, 0x20

RECORD_WORDS = 8
OFFSET, STAMP, KEY, KEY_BYTES, VALUE, VALUE_BYTES, HEADERS, HEADERS_END = range(8)
"""Of a record: a size of -1 stands for a missing key or value; HEADERS is 0 if there are none."""

UNKNOWN_FORMAT, BAD_CHECKSUM, BAD_RECORD = -1, -2, -3

_MAGIC = 2
_LENGTH_AT, _EPOCH_AT, _CRC_AT, _CHECKED_AT = 8, 12, 17, 21
_NO_PLACE = 0
_VARINT_BYTES_MAX = 10
_GOES_ON = 0x80


@inlined
def _big_16(at: int) -> int:
    word = whole(load_u16(at))
    found: int = (word & 0xFF) << 8 | word >> 8
    return found


@inlined
def _big_32(at: int) -> int:
    """Return a signed number of four bytes, the highest first."""
    word = whole(load_i32(at))
    low = (word & 0xFF) << 24 | (word & 0xFF00) << 8 | (word >> 8) & 0xFF00 | (word >> 24) & 0xFF
    found: int = low - 0x1_0000_0000 if low & 0x8000_0000 else low
    return found


@inlined
def _big_64(at: int) -> int:
    found: int = _big_32(at) << 32 | _big_32(at + 4) & 0xFFFF_FFFF
    return found


@compiled(memory, crc_kernel)
def scan_batches(at: int, size: int, batches: Any) -> int:
    """Note what whole batches there are; return how many, or what is wrong with the first bad one.

    Shapes:  `batches` (size // BATCH_BYTES_MIN + 1, BATCH_WORDS), filled as far as there are any.
    A batch that is cut off at the end is left out: it comes again.
    """
    count, end = 0, at + size
    while end - at >= BATCH_BYTES_MIN:
        length = _big_32(at + _LENGTH_AT)
        if load_u8(at + 16) != _MAGIC or length < BATCH_BYTES_MIN - _EPOCH_AT:
            return UNKNOWN_FORMAT
        if length > end - at - _EPOCH_AT:
            return count
        checked = length - (_CHECKED_AT - _EPOCH_AT)
        if crc32c(at + _CHECKED_AT, checked) != _big_32(at + _CRC_AT) & 0xFFFF_FFFF:
            return BAD_CHECKSUM
        batch = batches[count]
        batch[BODY] = at + BATCH_BYTES_MIN
        batch[BODY_BYTES] = length - (BATCH_BYTES_MIN - _EPOCH_AT)
        batch[FIRST_OFFSET] = _big_64(at)
        batch[NEXT_OFFSET] = batch[FIRST_OFFSET] + _big_32(at + 23) + 1
        batch[ATTRIBUTES], batch[RECORDS] = _big_16(at + 21), _big_32(at + 57)
        batch[FIRST_STAMP], batch[LAST_STAMP] = _big_64(at + 27), _big_64(at + 35)
        batch[PRODUCER] = _big_64(at + 43)
        if batch[RECORDS] < 0 or batch[RECORDS] > batch[NEXT_OFFSET] - batch[FIRST_OFFSET]:
            return UNKNOWN_FORMAT
        count += 1
        at += _EPOCH_AT + length
    return count


@inlined
def _varint(at: int, end: int) -> tuple[int, int]:
    """Return a zigzag number and the place behind it, _NO_PLACE if it does not end in time."""
    number, shift = whole(0), whole(0)
    while at < end and shift < 7 * _VARINT_BYTES_MAX:
        byte = whole(load_u8(at))
        at += 1
        number |= (byte & 0x7F) << shift
        if not byte & _GOES_ON:
            return (number >> 1 & 0x7FFF_FFFF_FFFF_FFFF) ^ -(number & 1), at
        shift += 7
    return whole(0), whole(_NO_PLACE)


@inlined
def _bytes(at: int, end: int) -> tuple[int, int, int]:
    """Return where bytes begin behind their length, that length, and the place behind them."""
    size, at = _varint(at, end)
    if at == _NO_PLACE or size < -1 or size > end - at:
        return whole(0), whole(0), whole(_NO_PLACE)
    return at, size, at + max(size, 0)


@compiled(memory)
def read_records(batches: Any, wanted_from: int, rows: Any) -> int:
    """Note where what lies in the records of unpacked batches; return how many, or BAD_RECORD.

    Those before `wanted_from` are left out.
    Shapes:  `batches` (n, BATCH_WORDS), their BODY unpacked; `rows` (records, RECORD_WORDS).
    """
    count = 0
    for number in range(len(batches)):
        batch = batches[number]
        at = batch[BODY]
        end = at + batch[BODY_BYTES]
        for _ in range(batch[RECORDS]):
            size, at = _varint(at, end)
            if at == _NO_PLACE or size < 1 or size > end - at:
                return BAD_RECORD
            row = rows[count]
            if not _read_record(at + 1, at + size, batch, row):
                return BAD_RECORD
            at += size
            if row[OFFSET] >= wanted_from:
                count += 1
        if at != end:
            return BAD_RECORD
    return count


@inlined
def _read_record(at: int, end: int, batch: Any, row: Any) -> bool:
    """Note one record, which lies behind its length and attributes; say whether it is whole."""
    stamp, at = _varint(at, end)
    if at == _NO_PLACE:
        return False
    delta, at = _varint(at, end)
    if at == _NO_PLACE:
        return False
    row[OFFSET] = batch[FIRST_OFFSET] + delta
    row[STAMP] = batch[FIRST_STAMP] + stamp
    if batch[ATTRIBUTES] & IS_LOG_TIME:
        row[STAMP] = batch[LAST_STAMP]
    row[KEY], row[KEY_BYTES], at = _bytes(at, end)
    if at == _NO_PLACE:
        return False
    row[VALUE], row[VALUE_BYTES], at = _bytes(at, end)
    if at == _NO_PLACE:
        return False
    headers, first = _varint(at, end)
    if first == _NO_PLACE or headers < 0:
        return False
    row[HEADERS] = at if headers else 0
    row[HEADERS_END] = end
    found: bool = headers > 0 or first == end
    return found


@compiled(memory)
def gather_column(rows: Any, column: int, data: Any, offsets: Any, is_null: Any) -> None:
    """Copy the keys or values of records together.

    `column` is KEY or VALUE.
    Shapes:  `rows` (n, RECORD_WORDS); `data` all bytes of the column; `offsets` (n + 1,);
             `is_null` (n,).
    """
    place = 0
    base = data.ctypes.data
    offsets[0] = 0
    for index in range(len(rows)):
        size = rows[index, column + 1]
        is_null[index] = size < 0
        if size > 0:
            copy_bytes(base + place, rows[index, column], size)
            place += size
        offsets[index + 1] = place


@compiled(memory)
def header_parts(at: int, end: int, parts: IntArray) -> bool:
    """Note where the names and contents of a record's headers lie; say whether they are whole.

    Shapes:  `parts` (`header_count`, 4): name, its bytes, content, its bytes (-1 for none).
    """
    count, at = _varint(at, end)
    if count != len(parts):
        return False
    for number in range(count):
        part = parts[number]
        part[0], part[1], at = _bytes(at, end)
        if at == _NO_PLACE or part[1] < 0:
            return False
        part[2], part[3], at = _bytes(at, end)
        if at == _NO_PLACE:
            return False
    return at == end


@compiled(memory)
def header_count(at: int, end: int) -> int:
    """Return how many headers a record has, at most as many as there is room for."""
    count, at = _varint(at, end)
    found: int = min(count, (end - at) // 2)
    return found
