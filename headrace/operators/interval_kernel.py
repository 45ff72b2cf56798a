"""Which rows of the other side each row of a join pairs with: compiled searches in sorted rows."""

from typing import NamedTuple

import numpy as np
from numba import njit

from headrace.batch import IntArray


class Sorted(NamedTuple):
    """Rows of one side ascending by key, time, order, arrival.

    Shapes:  (n,) each; `keys` are codes, `numbers` count arrivals of both sides.
    """

    keys: IntArray
    times: IntArray
    numbers: IntArray


class Wanted(NamedTuple):
    """What each new row of one side wants of the other: times from `first` to `last`.

    Shapes:  (n,) each.
    """

    keys: IntArray
    first: IntArray
    last: IntArray
    numbers: IntArray


@njit(cache=True, nogil=True)
def count_pairs(rows: Sorted, wanted: Wanted, most: int) -> tuple[IntArray, int]:
    """Return how many pairs each row makes, `most` at most, and how many more there would be.

    A row pairs with those that came before it; the later of two makes the pair.
    """
    counts = np.zeros(len(wanted.keys), np.int64)
    more = 0
    for index in range(len(counts)):
        first, end = _range(rows, wanted, index)
        for place in range(first, end):
            counts[index] += rows.numbers[place] < wanted.numbers[index]
        more += max(counts[index] - most, 0)
        counts[index] = min(counts[index], most)
    return counts, more


@njit(cache=True, nogil=True)
def fill_pairs(rows: Sorted, wanted: Wanted, counts: IntArray) -> IntArray:
    """Return the places in `rows` each row pairs with, ascending; of too many the last ones."""
    places = np.empty(counts.sum(), np.int64)
    at = 0
    for index in range(len(counts)):
        first, end = _range(rows, wanted, index)
        at += counts[index]
        to = at
        for place in range(end - 1, first - 1, -1):
            if to == at - counts[index]:
                break
            if rows.numbers[place] < wanted.numbers[index]:
                to -= 1
                places[to] = place
    return places


@njit(cache=True, nogil=True)
def _range(rows: Sorted, wanted: Wanted, index: int) -> tuple[int, int]:
    key = wanted.keys[index]
    # Times are whole: what is before `last + 1` is at most `last`.
    return _place(rows, key, wanted.first[index]), _place(rows, key, wanted.last[index] + 1)


@njit(cache=True, nogil=True)
def _place(rows: Sorted, key: int, time: int) -> int:
    """Return the first place not before this key and time."""
    low, high = 0, len(rows.keys)
    while low < high:
        middle = (low + high) // 2
        if rows.keys[middle] < key or (rows.keys[middle] == key and rows.times[middle] < time):
            low = middle + 1
        else:
            high = middle
    return low
