"""Ids remembered in the order they came, found again by their hash: compiled loops."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from headrace.batch import IntArray
from headrace.compiled import compiled
from headrace.operators import rows
from headrace.operators.rows import LATE, REPEATED, TAKEN, Fates

Hashes = npt.NDArray[np.uint64]

OFFSET = np.uint64(0xCBF29CE484222325)
PRIME = np.uint64(0x100000001B3)
OTHER_OFFSET = np.uint64(0x9E3779B97F4A7C15)
OTHER_PRIME = np.uint64(0xC2B2AE3D27D4EB4F)
SHIFT = np.uint64(29)


class Ids(NamedTuple):
    """Ids from number `marks[HEAD]` to before `marks[ADDED]`; id n is in slot n % capacity.

    `found_at` finds an id by its hash: linear probing, a number plus one a place, 0 if it is free.

    Shapes:  hashes (2, capacity), times (capacity,), found_at (2 capacity,), marks (3,), all int64;
             capacity is a power of two.
    """

    hashes: IntArray
    times: IntArray
    found_at: IntArray
    marks: IntArray


HEAD, ADDED, FORGOTTEN = range(3)


def new_ids(capacity: int) -> Ids:
    """Return room for so many ids."""
    return Ids(
        np.zeros((2, capacity), np.int64),
        np.zeros(capacity, np.int64),
        np.zeros(2 * capacity, np.int64),
        np.zeros(3, np.int64),
    )


@njit(cache=True, nogil=True)
def hash_texts(data: npt.NDArray[np.uint8], offsets: IntArray, hashes: Hashes) -> None:
    """Hash texts to 128 bits each: FNV-1a, and the same with another prime and a shift."""
    for text in range(len(offsets) - 1):
        first, second = OFFSET, OTHER_OFFSET
        for place in range(offsets[text], offsets[text + 1]):
            byte = np.uint64(data[place])
            first = (first ^ byte) * PRIME
            second = (second ^ byte) * OTHER_PRIME
            second ^= second >> SHIFT
        hashes[0, text], hashes[1, text] = first, second


@njit(cache=True, nogil=True)
def rebuild_index(ids: Ids) -> None:
    """Find every id again by its hash; of two entries of one id the later."""
    ids.found_at[:] = 0
    capacity = len(ids.times)
    for number in range(ids.marks[HEAD], ids.marks[ADDED]):
        slot = number % capacity
        ids.found_at[_find(ids, ids.hashes[0, slot], ids.hashes[1, slot])] = number + 1


@compiled(rows)
def take_ids(
    ids: Ids,
    hashes: IntArray,
    moments: tuple[IntArray, IntArray],
    fates: Fates,
    limits: tuple[int, int],
) -> None:
    """Tell repeats and late rows, one after the other.

    `moments` are each row's time and the latest up to it; `limits` the horizon and the most ids.
    """
    times, latest = moments
    horizon, most = limits
    capacity, marks = len(ids.times), ids.marks
    for row in range(len(times)):
        if fates[row] != TAKEN:
            continue
        start = latest[row] - horizon
        while marks[HEAD] < marks[ADDED] and ids.times[marks[HEAD] % capacity] <= start:
            _forget_oldest(ids)
        if times[row] <= start:
            fates[row] = LATE
            continue
        first, second = hashes[0, row], hashes[1, row]
        number = ids.found_at[_find(ids, first, second)] - 1
        if number >= 0 and ids.times[number % capacity] > start:
            fates[row] = REPEATED
            continue
        if marks[ADDED] - marks[HEAD] == most:
            _forget_oldest(ids)
            marks[FORGOTTEN] += 1
        slot = marks[ADDED] % capacity
        ids.hashes[0, slot], ids.hashes[1, slot] = first, second
        ids.times[slot] = times[row]
        ids.found_at[_find(ids, first, second)] = marks[ADDED] + 1
        marks[ADDED] += 1


@njit(cache=True, nogil=True)
def _find(ids: Ids, first: int, second: int) -> int:
    """Return the place in the index of an id, or the free place where it would be."""
    mask, capacity = len(ids.found_at) - 1, len(ids.times)
    place = second & mask
    while ids.found_at[place]:
        slot = (ids.found_at[place] - 1) % capacity
        if ids.hashes[0, slot] == first and ids.hashes[1, slot] == second:
            break
        place = (place + 1) & mask
    return place


@njit(cache=True, nogil=True)
def _forget_oldest(ids: Ids) -> None:
    """Forget the id that came first, and close the gap it leaves in the index."""
    capacity, mask = len(ids.times), len(ids.found_at) - 1
    number = ids.marks[HEAD]
    slot = number % capacity
    hole = _find(ids, ids.hashes[0, slot], ids.hashes[1, slot])
    ids.marks[HEAD] += 1
    if ids.found_at[hole] != number + 1:
        return  # it came again, after its horizon: the later entry is the one that is found
    place = hole
    while True:
        place = (place + 1) & mask
        if not ids.found_at[place]:
            break
        held = (ids.found_at[place] - 1) % capacity
        home = ids.hashes[1, held] & mask
        # It may move into the hole unless its home lies between the hole and its place.
        if (place - home) & mask >= (place - hole) & mask:
            ids.found_at[hole] = ids.found_at[place]
            hole = place
    ids.found_at[hole] = 0
