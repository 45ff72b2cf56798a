"""Finds the rows of many keys at once, in a table of slots over the keys' bytes."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headrace import memory
from headrace.batch import IntArray
from headrace.compiled import compiled
from headrace.memory import (
    copy_bytes,
    inlined,
    load_i32,
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    whole,
)

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

Index: TypeAlias = tuple[np.uint64, int, Offsets, Hashes, Offsets, Bytes, Bytes, Bytes]
"""The hashes' seed; how many rows are taken; slots; by row the hash; the names' offsets and bytes;
what stands before and behind a key in its name.

Shapes:  slots: a power of two, twice the rows there is room for; hashes: one such row; offsets: one
         more.
"""

EMPTY = -1

_WORD_BYTES = 8
_OFFSET_BYTES = 4
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2^64 by the golden ratio: odd, and without a pattern."""
_HALF = np.uint64(32)


@inlined
def hash_of(at: int, size: int, seed: np.uint64) -> Any:
    """Return a hash of some bytes, a word at a time, for slots: nobody keeps it."""
    found = seed ^ np.uint64(size)
    if size >= _WORD_BYTES:
        # The last eight bytes may overlap those before: no loop for what is left over.
        last = size - _WORD_BYTES
        for place in range(0, last, _WORD_BYTES):
            found = (found ^ load_u64(at + place)) * _FACTOR
            found ^= found >> _HALF
        found = (found ^ load_u64(at + last)) * _FACTOR
        return found ^ (found >> _HALF)
    word = np.uint64(0)
    if size & 4:
        word = np.uint64(load_u32(at))
        at += 4
    if size & 2:
        word = (word << np.uint64(16)) | np.uint64(load_u16(at))
        at += 2
    if size & 1:
        word = (word << np.uint64(8)) | np.uint64(load_u8(at))
    found = (found ^ word) * _FACTOR
    return found ^ (found >> _HALF)


@inlined
def are_same(one: int, other: int, size: int) -> Any:
    """Say whether so many bytes at two addresses are the same."""
    place = 0
    while place + _WORD_BYTES <= size:
        if load_u64(one + place) != load_u64(other + place):
            return False
        place += _WORD_BYTES
    while place < size:
        if load_u8(one + place) != load_u8(other + place):
            return False
        place += 1
    return True


@compiled(memory)
def find_rows(
    keys: tuple[int, int], found: IntArray, done: int, index: Index, adds: bool
) -> tuple[int, int]:
    """Find the row of each key that is not done; a new one is added, or EMPTY where none may be.

    `keys` are the addresses of Arrow's offsets and bytes.
    Shapes:  `found` one a key.
    Returns: how many keys are done, not all if there is no room, and how many rows there are.
    """
    offsets_at, data_at = keys
    seed, count, slots, hashes, ends, names, before, after = index
    names_at = names.ctypes.data
    mask = np.uint64(len(slots) - 1)
    for number in range(done, len(found)):
        first = whole(load_i32(offsets_at + _OFFSET_BYTES * number))
        size = whole(load_i32(offsets_at + _OFFSET_BYTES * (number + 1))) - first
        hashed = hash_of(data_at + first, size, seed)
        slot = whole(hashed & mask)
        row = whole(slots[slot])
        while row != EMPTY:
            start = ends[row] + len(before)
            is_long = ends[row + 1] - len(after) - start == size
            if (
                is_long
                and hashes[row] == hashed
                and are_same(names_at + start, data_at + first, size)
            ):
                break
            slot = whole(np.uint64(slot + 1) & mask)
            row = whole(slots[slot])
        if row == EMPTY and adds:
            start = whole(ends[count])
            end = start + len(before) + size + len(after)
            if count == len(hashes) or end > len(names):
                return number, count
            copy_bytes(names_at + start, before.ctypes.data, len(before))
            copy_bytes(names_at + start + len(before), data_at + first, size)
            copy_bytes(names_at + end - len(after), after.ctypes.data, len(after))
            row = whole(count)
            slots[slot], hashes[row], ends[row + 1] = row, hashed, end
            count += 1
        found[number] = row
    return len(found), count


@compiled()
def fill_slots(slots: Offsets, hashes: Hashes, count: int) -> None:
    """Put the first rows into slots that are all EMPTY."""
    mask = np.uint64(len(slots) - 1)
    for row in range(count):
        slot = np.int64(hashes[row] & mask)
        while slots[slot] != EMPTY:
            slot = np.int64(np.uint64(slot + 1) & mask)
        slots[slot] = row
