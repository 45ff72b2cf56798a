"""What the windows of sorted rows gather, each ending with its row: they only move forward."""

import numpy as np
import numpy.typing as npt
from numba import njit

from headrace.batch import FloatArray, IntArray
from headrace.operators.aggregates import Column
from headrace.operators.folds import ADD, FIRST, LAST, MIN, Operations, Values


def totals_at(
    values: Values, operations: Operations, starts: IntArray, places: IntArray
) -> tuple[IntArray, FloatArray]:
    """Return what the windows of the rows at these places gather, a row a fold or counter.

    Shapes:  values n records, starts (n,), places (m,); (i + counters, m) and (f, m) out.
    """
    ints = np.zeros((len(operations.ints), len(places)), np.int64)
    floats = np.empty((len(values.floats), len(places)), np.float64)
    for fold, values_of_fold in enumerate(values.ints):
        ints[fold] = _gathered(values_of_fold, int(operations.ints[fold]), starts, places)
    for fold, numbers in enumerate(values.floats):
        floats[fold] = _gathered(numbers, int(operations.floats[fold]), starts, places)
    for count, counted in enumerate(values.counted):
        first, end = operations.counters[count : count + 2]
        count_rows(ints[first:end], counted, starts, places)
    return ints, floats


def _gathered(column: Column, operation: int, starts: IntArray, places: IntArray) -> Column:
    if operation == ADD and column.dtype == np.float64:
        totals: FloatArray = float_sums(column, starts, places)
        return totals
    if operation == ADD:
        # Integers wrap around, so that the difference is exact wherever it fits.
        sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(column, dtype=np.int64)])
        gathered: IntArray = sums[places + 1] - sums[starts[places]]
        return gathered
    if operation == FIRST:
        rows = starts[places]
    elif operation == LAST:
        rows = places
    else:
        rows = extremes(column, starts, 1 if operation == MIN else -1)[places]
    taken: Column = column[rows]
    return taken


@njit(cache=True, nogil=True)
def window_starts(keys: IntArray, times: IntArray, span: int) -> IntArray:
    """Return the first row of each row's window: of its key, less than `span` before it.

    Shapes:  (n,) in and out, ascending by key, then time.
    """
    starts = np.empty(len(keys), np.int64)
    start = 0
    for row in range(len(keys)):
        while keys[start] != keys[row] or times[start] <= times[row] - span:
            start += 1
        starts[row] = start
    return starts


@njit(cache=True, nogil=True)
def float_sums(values: FloatArray, starts: IntArray, rows: IntArray) -> FloatArray:
    """Return the sum of the window of each of `rows`, in the order of its rows.

    Each is added up afresh: what one window leaves of rounding must not depend on those before it.
    """
    sums = np.zeros(len(rows), np.float64)
    for index in range(len(rows)):
        for row in range(starts[rows[index]], rows[index] + 1):
            sums[index] += values[row]
    return sums


@njit(cache=True, nogil=True)
def count_rows(counters: IntArray, counted: IntArray, starts: IntArray, rows: IntArray) -> None:
    """Count the rows of the window of each of `rows` by which counter each of them raises.

    Shapes:  counters (counters, m), all 0; counted and starts (n,), rows (m,).
    """
    for index in range(len(rows)):
        for row in range(starts[rows[index]], rows[index] + 1):
            if counted[row] >= 0:
                counters[counted[row], index] += 1


@njit(cache=True, nogil=True)
def extremes(values: npt.NDArray[np.generic], starts: IntArray, sign: int) -> IntArray:
    """Return at each row which row of its window is the least, or the largest if `sign` is -1.

    The first of equals. NaN is left out unless there is nothing else.

    Shapes:  values (n,) int64 or float64, starts (n,) ascending; (n,) row numbers out.
    Source:  the algorithm known as ascending minima.
    """
    found = np.empty(len(values), np.int64)
    # Rows that may still be the least of a window to come, the least first.
    queue = np.empty(len(values), np.int64)
    first, end = 0, 0
    for row in range(len(values)):
        while first < end and queue[first] < starts[row]:
            first += 1
        value = values[row]
        # NaN equals nothing, not itself.
        if value == value:  # noqa: PLR0124
            while first < end and _is_before(value, values[queue[end - 1]], sign):
                end -= 1
            queue[end] = row
            end += 1
        found[row] = queue[first] if first < end else row
    return found


@njit(cache=True, nogil=True)
def _is_before(value, other, sign):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 (for both kinds of numbers)
    return value < other if sign > 0 else value > other
