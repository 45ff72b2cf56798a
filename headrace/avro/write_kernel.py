"""Columns into framed Avro records, compiled; as in the read kernel, everything is an address."""

from typing import Any

import numpy as np

from headrace import memory
from headrace.avro import program as layout
from headrace.avro.program import (
    ARRAY,
    BOOLEAN,
    COUNT,
    DOUBLE,
    END,
    ENUM,
    FLOAT,
    INT,
    ITEM,
    LONG,
    NEXT,
    NULL_BYTE,
    OPCODE,
    ROW_WORDS,
    SLOT,
    SPANS,
    STRING,
)
from headrace.batch import IntArray
from headrace.compiled import compiled
from headrace.memory import (
    copy_bytes,
    inlined,
    leading_zeros,
    load_i32,
    load_i64,
    load_u8,
    set_word,
    store_i32,
    store_u8,
    store_u64,
    word_of,
)

VALIDITY, OFFSETS, VALUES, FIRST, AT, ITEMS, ITEMS_LEFT, IS_FAULTY = range(ROW_WORDS)
"""A slot's state, by its words.

VALIDITY, OFFSETS, VALUES  addresses, 0 for what is not there
FIRST                      where its array begins in them
AT                         the item to come, as they count
ITEMS                      how many the batch has at most
ITEMS_LEFT                 of an array that is being written
IS_FAULTY                  1 if the item before AT cannot be written
"""

HEADER_BYTES = 5

SPARE_BYTES = 16
"""Behind the last record: numbers are written eight bytes at once."""

_ROW_BYTES = 8 * ROW_WORDS
_WORD_BYTES = 8
_INT_BYTES_MAX = 5
_LONG_BYTES_MAX = 10
_ARRAY_BYTES_MAX = _INT_BYTES_MAX + 1
_ONE_BYTE_SYMBOLS_MAX = 64

_OFFSET_MAX = 2**31 - 1
_FAULT = 0
"""In place of the address that follows a value: its column has one that cannot be written."""


@compiled(memory, layout)
def most_bytes(code: IntArray, state: IntArray) -> int:
    """Return what the records take at most, their headers not counted.

    Shapes:  `state` (slots, ROW_WORDS), AT and ITEMS given for columns; filled for arrays' items.
    """
    program, slots = np.int64(code.ctypes.data), np.int64(state.ctypes.data)
    most = 0
    for operation in range(program, program + _ROW_BYTES * len(code), _ROW_BYTES):
        opcode = word_of(operation, OPCODE)
        slot = slots + _ROW_BYTES * word_of(operation, SLOT)
        items = word_of(slot, ITEMS)
        if opcode == END or items == 0:
            continue
        most += items * (1 + _item_bytes_max(operation, opcode))
        if opcode in (STRING, ARRAY):
            offsets = word_of(slot, OFFSETS) + 4 * word_of(slot, AT)
            begin, end = load_i32(offsets), load_i32(offsets + 4 * items)
            if opcode == STRING:
                most += end - begin
            else:
                inner = slot + _ROW_BYTES
                set_word(inner, AT, word_of(inner, FIRST) + begin)
                set_word(inner, ITEMS, end - begin)
    return most


@inlined
def _item_bytes_max(operation: int, opcode: int) -> int:
    """Return what a value takes at most: of a string its length, of an array its ends."""
    if opcode == LONG:
        return _LONG_BYTES_MAX
    if opcode == DOUBLE:
        return 8
    if opcode == FLOAT:
        return 4
    if opcode == BOOLEAN or (opcode == ENUM and word_of(operation, COUNT) <= _ONE_BYTE_SYMBOLS_MAX):
        return 1
    return _ARRAY_BYTES_MAX if opcode == ARRAY else _INT_BYTES_MAX


@compiled(memory, layout)
def write_rows(code: IntArray, state: IntArray, header: int, to: int, offsets: int) -> int:
    """Write every row of columns as a record led by a header; return how many were written.

    Where those are fewer than there are rows, a slot IS_FAULTY: it holds a null or a symbol that is
    not allowed; if none is, there are more bytes than Arrow's offsets can count.

    Shapes:  `state` as `most_bytes` leaves it, which says what lies behind the address `to`,
             SPARE_BYTES more; `offsets` the address of rows + 1 int32.
    """
    program, slots = np.int64(code.ctypes.data), np.int64(state.ctypes.data)
    program_end = program + _ROW_BYTES * len(code)
    rows: int = word_of(slots, ITEMS)
    at = to
    store_i32(offsets, 0)
    for row in range(rows):
        store_u64(at, header)
        at = _write_record(at + HEADER_BYTES, program, program_end, slots)
        if at == _FAULT or at - to > _OFFSET_MAX:
            return row
        store_i32(offsets + 4 * row + 4, at - to)
    return rows


@inlined
def _write_record(at: int, program: int, program_end: int, slots: int) -> Any:
    """Return the place after a record, _FAULT if it cannot be written."""
    operation = program
    while operation < program_end:
        opcode = word_of(operation, OPCODE)
        slot = slots + _ROW_BYTES * word_of(operation, SLOT)
        step = NEXT
        if opcode == END:
            at, step = _end_item(at, slot)
        else:
            item = word_of(slot, AT)
            set_word(slot, AT, item + 1)
            validity = word_of(slot, VALIDITY)
            is_null = validity != 0 and not _bit(validity, item)
            null_byte = word_of(operation, NULL_BYTE)
            if null_byte >= 0:
                store_u8(at, null_byte if is_null else 2 - null_byte)
                at += 1
            if not is_null:
                at, step = _write_value(at, operation, opcode, slot, item)
            elif null_byte < 0:
                at = _FAULT
            if at == _FAULT:
                set_word(slot, IS_FAULTY, 1)
                return _FAULT
        operation = program + _ROW_BYTES * word_of(operation, step)
    return at


@inlined
def _end_item(at: int, slot: int) -> Any:
    """Go on with an array's next item, or write the 0 that ends the array."""
    left = word_of(slot, ITEMS_LEFT) - 1
    set_word(slot, ITEMS_LEFT, left)
    if left:
        return at, ITEM
    store_u8(at, 0)
    return at + 1, NEXT


@inlined
def _write_value(at: int, operation: int, opcode: int, slot: int, item: int) -> Any:
    """Write what is no null; return the place after it and which operation follows."""
    step = NEXT
    if opcode == LONG:
        at = _write_number(at, load_i64(word_of(slot, VALUES) + 8 * item))
    elif opcode == INT:
        at = _write_number(at, np.int64(load_i32(word_of(slot, VALUES) + 4 * item)))
    elif opcode == DOUBLE:
        copy_bytes(at, word_of(slot, VALUES) + 8 * item, 8)
        at += 8
    elif opcode == FLOAT:
        copy_bytes(at, word_of(slot, VALUES) + 4 * item, 4)
        at += 4
    elif opcode == BOOLEAN:
        store_u8(at, _bit(word_of(slot, VALUES), item))
        at += 1
    elif opcode == ARRAY:
        at, step = _begin_array(at, slot, item)
    else:
        at = _write_text(at, operation, opcode, slot, item)
    return at, step


@inlined
def _begin_array(at: int, slot: int, item: int) -> Any:
    """Write an array's count, which alone is an empty array."""
    offsets = word_of(slot, OFFSETS) + 4 * item
    begin = load_i32(offsets)
    count = load_i32(offsets + 4) - begin
    inner = slot + _ROW_BYTES
    set_word(inner, AT, word_of(inner, FIRST) + begin)
    set_word(slot, ITEMS_LEFT, count)
    return _write_number(at, np.int64(count)), ITEM if count else NEXT


@inlined
def _write_text(at: int, operation: int, opcode: int, slot: int, item: int) -> Any:
    """Write a string, or the index of an enum's symbol; _FAULT if it is none."""
    offsets = word_of(slot, OFFSETS) + 4 * item
    begin = load_i32(offsets)
    length = np.int64(load_i32(offsets + 4)) - begin
    source = word_of(slot, VALUES) + begin
    if opcode == STRING:
        at = _write_number(at, length)
        copy_bytes(at, source, length)
        return at + length
    symbol = _symbol(operation, source, length)
    return _FAULT if symbol < 0 else _write_number(at, symbol)


@inlined
def _symbol(operation: int, source: int, length: int) -> int:
    """Return the index of an enum's symbol, -1 if there is none of these bytes."""
    spans = word_of(operation, SPANS)
    for symbol in range(word_of(operation, COUNT)):
        span = spans + 16 * symbol
        if word_of(span, 1) == length and _is_same(word_of(span, 0), source, length):
            return symbol
    return -1


@inlined
def _is_same(one: int, other: int, length: int) -> bool:
    place = 0
    while place < length and load_u8(one + place) == load_u8(other + place):
        place += 1
    return place == length


@inlined
def _bit(bits: int, item: int) -> Any:
    return (load_u8(bits + (item >> 3)) >> (item & 7)) & 1


@inlined
def _write_number(at: int, value: int) -> Any:
    """Write a zigzag varint, eight bytes at once; return the place after it."""
    zigzag = np.uint64(value << 1) ^ np.uint64(value >> 63)
    bits = 64 - leading_zeros(zigzag | np.uint64(1))
    size = (bits * 9 + 64) >> 6  # a seventh, rounded up
    if size <= _WORD_BYTES:
        goes_on = (np.uint64(1) << np.uint64(8 * size - 8)) - np.uint64(1)
        store_u64(at, _spread(zigzag) | (np.uint64(0x8080808080808080) & goes_on))
        return at + size
    store_u64(at, _spread(zigzag) | np.uint64(0x8080808080808080))
    rest = zigzag >> np.uint64(56)
    store_u8(at + 8, rest if size < _LONG_BYTES_MAX else rest | np.uint64(0x80))
    store_u8(at + 9, 1)  # the tenth byte: the highest bit, or it is written over
    return at + size


@inlined
def _spread(number: Any) -> Any:
    """Return the low 56 bits, seven to a byte."""
    word = (number & np.uint64(0x000000000FFFFFFF)) | (
        (number & np.uint64(0x00FFFFFFF0000000)) << np.uint64(4)
    )
    word = (word & np.uint64(0x00003FFF00003FFF)) | (
        (word & np.uint64(0x0FFFC0000FFFC000)) << np.uint64(2)
    )
    return (word & np.uint64(0x007F007F007F007F)) | (
        (word & np.uint64(0x3F803F803F803F80)) << np.uint64(1)
    )
