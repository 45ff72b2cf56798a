"""Framed Avro records into the buffers of columns, compiled; what looks odd stops it.

Everything is passed by address: a compiled function counts references to each array it is given,
which would take longer than the reading. Only arguments of the functions called from Python are
arrays, and those outlive the call.
"""

from typing import Any

import numba
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
    load_i32,
    load_i64,
    load_u8,
    load_u32,
    load_u64,
    set_word,
    store_i32,
    store_i64,
    store_u8,
    trailing_zeros,
    word_of,
)

VALIDITY, OFFSETS, VALUES, START, ITEMS, NULLS, TEXT_BYTES, ITEMS_LEFT = range(ROW_WORDS)
"""A slot's state, by its words: four addresses, three counts, and items an open array has left.

START is an int64 a text: the address where it lies, in the records or among the symbols.
"""

HEADER_BYTES = 5

_ROW_BYTES = 8 * ROW_WORDS

_OFFSET_MAX = 2**31 - 1
"""Of Arrow's texts and arrays."""

_ODD = 0
"""In place of the address that follows a value: there is none, or one to be looked at closely."""

_VARINT_BYTES_MAX = 10
_GOES_ON = 0x80
"""The bit of a varint's byte that says another follows."""


@compiled(memory, layout)
def read_rows(data: int, offsets: int, rows: int, code: IntArray, state: IntArray) -> int:
    """Read records that all have the first one's header; return how many were read.

    Where those are fewer than `rows`, the next is odd or bad. Every length is held against the
    record's end before a byte is touched. What has no address is counted and not kept.

    Shapes:  `offsets` the address of rows + 1 int32, counted from the address `data`;
             `state` (slots, ROW_WORDS): counts of 0, and addresses of buffers with room for the
             rows and, in arrays, for their items; VALUES of texts stay untouched.
    """
    program, slots = np.int64(code.ctypes.data), np.int64(state.ctypes.data)
    program_end = program + _ROW_BYTES * len(code)
    limit = data + load_i32(offsets + 4 * rows)
    tables = (limit, program, program_end, slots)
    first = data + load_i32(offsets)
    _begin_offsets(slots, len(state))
    for row in range(rows):
        at = data + load_i32(offsets + 4 * row)
        end = data + load_i32(offsets + 4 * row + 4)
        if end - at < HEADER_BYTES:
            return row
        if load_u32(at) != load_u32(first) or load_u8(at + 4) != load_u8(first + 4):
            return row
        if _read_record(at + HEADER_BYTES, end, tables) != end:
            return row
    return rows


@inlined
def _begin_offsets(slots: int, count: int) -> None:
    """Lay down the 0 that Arrow's offsets begin with."""
    for slot in range(slots, slots + _ROW_BYTES * count, _ROW_BYTES):
        if word_of(slot, OFFSETS):
            store_i32(word_of(slot, OFFSETS), 0)


@inlined
def _read_record(at: int, end: int, tables: tuple[int, int, int, int]) -> int:
    """Return the place after a record, _ODD if it is odd or passes its end."""
    limit, program, program_end, slots = tables
    operation = program
    while operation < program_end:
        opcode = word_of(operation, OPCODE)
        slot = slots + _ROW_BYTES * word_of(operation, SLOT)
        step = NEXT
        if opcode == END:
            at, step = _end_item(at, end, slot)
        else:
            set_word(slot, ITEMS, word_of(slot, ITEMS) + 1)
            is_null = False
            if word_of(operation, NULL_BYTE) >= 0:
                at, is_null = _read_branch(at, end, operation, slot)
                if at == _ODD:
                    return _ODD
            if is_null:
                _put_null(opcode, slot)
            elif opcode == ARRAY:
                at, step = _read_count(at, end, limit, slot)
            elif opcode in (STRING, ENUM):
                at = _read_text(at, end, limit, operation, slot)
            elif opcode in (LONG, INT):
                at = _read_integer(at, end, limit, opcode, slot)
            else:
                at = _read_fixed(at, end, opcode, slot)
        if at == _ODD:
            return _ODD
        operation = program + _ROW_BYTES * word_of(operation, step)
    return at


@inlined
def _end_item(at: int, end: int, slot: int) -> Any:
    """Go on with an array's next item, or read the 0 that ends the array."""
    left = word_of(slot, ITEMS_LEFT) - 1
    set_word(slot, ITEMS_LEFT, left)
    if left:
        return at, ITEM
    return _ODD if at >= end or load_u8(at) else at + 1, NEXT


@inlined
def _read_branch(at: int, end: int, operation: int, slot: int) -> Any:
    """Read which branch of a union it is; return the place after it and whether it is null."""
    if at >= end or load_u8(at) & 0xFD:
        return _ODD, False
    is_null = load_u8(at) == word_of(operation, NULL_BYTE)
    _put_bit(word_of(slot, VALIDITY), slot, not is_null)
    return at + 1, is_null


@inlined
def _put_null(opcode: int, slot: int) -> None:
    """Lay down what stands for nothing: 0, no text, no items."""
    set_word(slot, NULLS, word_of(slot, NULLS) + 1)
    item = word_of(slot, ITEMS) - 1
    if opcode == ARRAY:
        _put_offset(slot, word_of(slot + _ROW_BYTES, ITEMS))
    elif opcode in (STRING, ENUM):
        _put_text(slot, 0, 0)
    elif opcode == BOOLEAN:
        _put_bit(word_of(slot, VALUES), slot, False)
    elif word_of(slot, VALUES):
        if opcode in (LONG, DOUBLE):
            store_i64(word_of(slot, VALUES) + 8 * item, 0)
        else:
            store_i32(word_of(slot, VALUES) + 4 * item, 0)


@inlined
def _read_count(at: int, end: int, limit: int, slot: int) -> Any:
    """Begin an array of one block, or read an empty one; no item takes less than a byte."""
    zigzag, at = _read_varint(at, limit)
    count = np.int64(zigzag >> np.uint64(1))
    if at == _ODD or at > end or zigzag & np.uint64(1) or count > end - at:
        return _ODD, NEXT
    set_word(slot, ITEMS_LEFT, count)
    # The items of all arrays so far, and these.
    _put_offset(slot, word_of(slot + _ROW_BYTES, ITEMS) + count)
    return at, ITEM if count else NEXT


@inlined
def _read_text(at: int, end: int, limit: int, operation: int, slot: int) -> int:
    """Read a string or an enum's symbol: note where it lies; return the place after it."""
    zigzag, at = _read_varint(at, limit)
    length: Any = np.int64(zigzag >> np.uint64(1))
    if at == _ODD or at > end or zigzag & np.uint64(1):
        return _ODD
    if word_of(operation, OPCODE) == STRING:
        is_in = length <= end - at and _put_text(slot, at, length)
        return at + length if is_in else _ODD
    if length >= word_of(operation, COUNT):
        return _ODD
    span = word_of(operation, SPANS) + 16 * length
    return at if _put_text(slot, word_of(span, 0), word_of(span, 1)) else _ODD


@inlined
def _read_integer(at: int, end: int, limit: int, opcode: int, slot: int) -> int:
    """Read an int or a long; return the place after it."""
    zigzag, at = _read_varint(at, limit)
    if at > end or (opcode == INT and zigzag >> np.uint64(32)):
        return _ODD
    to, item = word_of(slot, VALUES), word_of(slot, ITEMS) - 1
    value = np.int64(zigzag >> np.uint64(1)) ^ -np.int64(zigzag & np.uint64(1))
    if to and opcode == LONG:
        store_i64(to + 8 * item, value)
    elif to:
        store_i32(to + 4 * item, value)
    return at


@inlined
def _read_fixed(at: int, end: int, opcode: int, slot: int) -> int:
    """Read a boolean, a float or a double; return the place after it."""
    to, item = word_of(slot, VALUES), word_of(slot, ITEMS) - 1
    if opcode == BOOLEAN:
        if at >= end or load_u8(at) > 1:
            return _ODD
        _put_bit(to, slot, load_u8(at) == 1)
        return at + 1
    size = 8 if opcode == DOUBLE else 4
    if size > end - at:
        return _ODD
    if to:
        copy_bytes(to + size * item, at, size)
    return at + size


@inlined
def _put_text(slot: int, start: int, length: int) -> bool:
    """Note where a text lies, and where it will end; return whether Arrow can count so far."""
    end = word_of(slot, TEXT_BYTES) + length
    set_word(slot, TEXT_BYTES, end)
    if word_of(slot, START):
        store_i64(word_of(slot, START) + 8 * (word_of(slot, ITEMS) - 1), start)
    _put_offset(slot, end)
    is_countable: bool = end <= _OFFSET_MAX
    return is_countable


@inlined
def _put_offset(slot: int, offset: int) -> None:
    """Lay down where an item ends."""
    if word_of(slot, OFFSETS):
        store_i32(word_of(slot, OFFSETS) + 4 * word_of(slot, ITEMS), offset)


@inlined
def _put_bit(bits: int, slot: int, is_set: bool) -> None:
    """Lay down an item's bit, all before it being there."""
    if bits:
        item = word_of(slot, ITEMS) - 1
        place = bits + (item >> 3)
        before = np.int64(load_u8(place)) if item & 7 else 0
        store_u8(place, before | (np.int64(is_set) << (item & 7)))


@inlined
def _read_varint(at: int, limit: int) -> Any:
    """Return a number in zigzag and the place after it; _ODD if it is longer than it need be.

    Eight bytes are looked at in one, where ten lie before the end of all records.
    """
    if at + _VARINT_BYTES_MAX > limit:
        return _read_last_varint(at, limit)
    word = load_u64(at)
    ends = ~word & np.uint64(0x8080808080808080)
    if ends:
        last = trailing_zeros(ends) >> 3
        zigzag = _packed(word & (ends ^ (ends - np.uint64(1))))
        is_odd = last > 0 and not zigzag >> np.uint64(7 * last)
        return zigzag, _ODD if is_odd else at + last + 1
    ninth = np.uint64(load_u8(at + 8))
    zigzag = _packed(word) | ninth << np.uint64(56)
    if ninth < np.uint64(_GOES_ON):
        return zigzag, at + 9 if ninth else _ODD
    # The tenth byte may only add the highest bit, where the ninth has the one that announced it.
    return zigzag, at + 10 if load_u8(at + 9) == 1 else _ODD


@inlined
def _packed(word: Any) -> Any:
    """Return the low seven bits of each of eight bytes, side by side."""
    word = (word & np.uint64(0x007F007F007F007F)) | (
        (word & np.uint64(0x7F007F007F007F00)) >> np.uint64(1)
    )
    word = (word & np.uint64(0x00003FFF00003FFF)) | (
        (word & np.uint64(0x3FFF00003FFF0000)) >> np.uint64(2)
    )
    return (word & np.uint64(0x000000000FFFFFFF)) | (
        (word & np.uint64(0x0FFFFFFF00000000)) >> np.uint64(4)
    )


@numba.njit(nogil=True)
def _read_last_varint(at: int, limit: int) -> Any:
    """Do the same a byte at a time, near the end of all records."""
    zigzag = np.uint64(0)
    for place in range(_VARINT_BYTES_MAX):
        if at + place >= limit:
            break
        byte = load_u8(at + place)
        if place == _VARINT_BYTES_MAX - 1 and byte != 1:
            break
        zigzag |= np.uint64(byte & 0x7F) << np.uint64(7 * place)
        if byte < _GOES_ON:
            return zigzag, at + place + 1 if byte or not place else _ODD
    return np.uint64(0), _ODD


@compiled(memory, layout)
def copy_texts(code: IntArray, state: IntArray) -> bool:
    """Lay down at VALUES the texts that were read; return whether all of them are ASCII."""
    seen = np.uint64(0)
    program, slots = np.int64(code.ctypes.data), np.int64(state.ctypes.data)
    for operation in range(program, program + _ROW_BYTES * len(code), _ROW_BYTES):
        opcode = word_of(operation, OPCODE)
        slot = slots + _ROW_BYTES * word_of(operation, SLOT)
        if opcode not in (STRING, ENUM):
            continue
        begin = 0
        for item in range(word_of(slot, ITEMS)):
            end = load_i32(word_of(slot, OFFSETS) + 4 * item + 4)
            source = load_i64(word_of(slot, START) + 8 * item)
            seen |= copy_bytes(word_of(slot, VALUES) + begin, source, end - begin)
            begin = end
    return not seen & np.uint64(0x8080808080808080)
