"""Compiled loops that fold values into the totals of windows.

Each number in the order of the records, so that a sum of floats is the same however the input was
cut.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from headrace.batch import BoolArray, FloatArray, IntArray

ADD, MIN, MAX, FIRST, LAST = range(5)

FIRST_TIME, FIRST_ORDER, LAST_TIME, LAST_ORDER, FRESH = range(5)
"""Rows of `Totals.marks`; fresh: changed since it was last emitted."""
MARKS = 5

INT_MAX = np.iinfo(np.int64).max
INT_MIN = np.iinfo(np.int64).min


class Totals(NamedTuple):
    """What S windows have gathered.

    Shapes:  marks (MARKS, S) and ints (i, S) int64, floats (f, S) float64: a row a fold or counter.
    """

    marks: IntArray
    ints: IntArray
    floats: FloatArray

    def at(self, windows: IntArray | BoolArray) -> "Totals":
        """Return the totals of these windows."""
        return Totals(self.marks[:, windows], self.ints[:, windows], self.floats[:, windows])


class Values(NamedTuple):
    """What n records bring.

    Shapes:  times and orders (n,), ints (i, n) int64, floats (f, n) float64, counted (c, n): which
             counter is raised by 1, or -1.
    """

    times: IntArray
    orders: IntArray
    ints: IntArray
    floats: FloatArray
    counted: IntArray

    def at(self, rows: slice) -> "Values":
        """Return what these records bring, in the same memory."""
        return Values(
            self.times[rows],
            self.orders[rows],
            self.ints[:, rows],
            self.floats[:, rows],
            self.counted[:, rows],
        )


class Operations(NamedTuple):
    """What is done with each fold's values: ADD, MIN and so on.

    Counters are integers that come after the others, and are added where windows are merged.

    Shapes:  ints (i + all counters,), floats (f,) int64; counters (c + 1,): where those of each
             count begin, and the end of the last.
    """

    ints: IntArray
    floats: IntArray
    counters: IntArray


def new_totals(operations: Operations, count: int) -> Totals:
    """Return the totals of windows nothing was folded into yet."""
    marks = np.zeros((MARKS, count), np.int64)
    marks[[FIRST_TIME, FIRST_ORDER]] = INT_MAX
    marks[[LAST_TIME, LAST_ORDER]] = INT_MIN
    ints = np.zeros((len(operations.ints), count), np.int64)
    ints[operations.ints == MIN] = INT_MAX
    ints[operations.ints == MAX] = INT_MIN
    floats = np.zeros((len(operations.floats), count), np.float64)
    floats[(operations.floats == MIN) | (operations.floats == MAX)] = np.nan
    return Totals(marks, ints, floats)


@njit(cache=True, nogil=True)
def fold_rows(
    totals: Totals, slots: IntArray, rows: IntArray, values: Values, operations: Operations
) -> None:
    """Fold record `rows[i]` into window `slots[i]`, one number after the other."""
    is_first, is_last = np.empty(len(slots), np.bool_), np.empty(len(slots), np.bool_)
    for index in range(len(slots)):
        is_first[index], is_last[index] = _mark(totals, slots[index], rows[index], values)
    for fold in range(len(values.ints)):
        if operations.ints[fold] == ADD:
            for index in range(len(slots)):
                totals.ints[fold, slots[index]] += values.ints[fold, rows[index]]
            continue
        for index in range(len(slots)):
            value = values.ints[fold, rows[index]]
            marked = is_first[index], is_last[index]
            _fold(totals.ints, fold, slots[index], value, operations.ints, *marked)
    for index in range(len(slots)):
        _count(totals, slots[index], rows[index], values, operations)
    for fold in range(len(operations.floats)):
        for index in range(len(slots)):
            number = values.floats[fold, rows[index]]
            marked = is_first[index], is_last[index]
            _fold(totals.floats, fold, slots[index], number, operations.floats, *marked)


@njit(cache=True, nogil=True)
def fold_row(totals: Totals, slot: int, row: int, values: Values, operations: Operations) -> None:
    """Fold one record into one window."""
    is_first, is_last = _mark(totals, slot, row, values)
    for fold in range(len(values.ints)):
        _fold(totals.ints, fold, slot, values.ints[fold, row], operations.ints, is_first, is_last)
    _count(totals, slot, row, values, operations)
    for fold in range(len(operations.floats)):
        _fold(
            totals.floats,
            fold,
            slot,
            values.floats[fold, row],
            operations.floats,
            is_first,
            is_last,
        )


@njit(cache=True, nogil=True)
def _count(totals: Totals, slot: int, row: int, values: Values, operations: Operations) -> None:
    """Raise a window's counters by what a record brings."""
    for count in range(len(values.counted)):
        if values.counted[count, row] >= 0:
            totals.ints[operations.counters[count] + values.counted[count, row], slot] += 1


@njit(cache=True, nogil=True)
def _mark(totals: Totals, slot: int, row: int, values: Values) -> tuple[bool, bool]:
    """Note a record's time in its window; return whether it is the first there, and the last."""
    marks = totals.marks
    time, order = values.times[row], values.orders[row]
    is_first = time < marks[FIRST_TIME, slot] or (
        time == marks[FIRST_TIME, slot] and order < marks[FIRST_ORDER, slot]
    )
    # Of equals the later to arrive is the last one, the earlier the first.
    is_last = time > marks[LAST_TIME, slot] or (
        time == marks[LAST_TIME, slot] and order >= marks[LAST_ORDER, slot]
    )
    if is_first:
        marks[FIRST_TIME, slot], marks[FIRST_ORDER, slot] = time, order
    if is_last:
        marks[LAST_TIME, slot], marks[LAST_ORDER, slot] = time, order
    marks[FRESH, slot] = 1
    return is_first, is_last


@njit(cache=True, nogil=True)
def merge_slots(totals: Totals, into: int, other: int, operations: Operations) -> None:
    """Fold what one window has gathered into another that began before it."""
    marks = totals.marks
    is_first = marks[FIRST_TIME, other] < marks[FIRST_TIME, into]
    is_last = marks[LAST_TIME, other] >= marks[LAST_TIME, into]
    if is_first:
        marks[FIRST_TIME, into] = marks[FIRST_TIME, other]
        marks[FIRST_ORDER, into] = marks[FIRST_ORDER, other]
    if is_last:
        marks[LAST_TIME, into] = marks[LAST_TIME, other]
        marks[LAST_ORDER, into] = marks[LAST_ORDER, other]
    for fold in range(len(operations.ints)):
        value = totals.ints[fold, other]
        _fold(totals.ints, fold, into, value, operations.ints, is_first, is_last)
    for fold in range(len(operations.floats)):
        number = totals.floats[fold, other]
        _fold(totals.floats, fold, into, number, operations.floats, is_first, is_last)


@njit(cache=True, nogil=True)
def _fold(held, fold, slot, value, operations, is_first, is_last):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0917 (for both kinds of numbers)
    operation = operations[fold]
    if operation == ADD:
        held[fold, slot] += value
    elif operation == MIN:
        # A NaN that is held is nothing yet; one that comes is left out.
        if value < held[fold, slot] or held[fold, slot] != held[fold, slot]:
            held[fold, slot] = value
    elif operation == MAX:
        if value > held[fold, slot] or held[fold, slot] != held[fold, slot]:
            held[fold, slot] = value
    elif (operation == FIRST and is_first) or (operation == LAST and is_last):
        held[fold, slot] = value
