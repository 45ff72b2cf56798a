"""Which session each record belongs to, and which sessions it makes one: a compiled loop."""

from typing import NamedTuple

import numpy as np
from numba import njit

from headrace.batch import IntArray
from headrace.compiled import compiled
from headrace.operators import folds, rows
from headrace.operators.folds import Operations, Totals, Values, fold_row, merge_slots
from headrace.operators.rows import LATE, TAKEN, Fates

NONE = -1
MERGED = np.iinfo(np.int64).min
"""The end of a session that is part of another now."""


class Sessions(NamedTuple):
    """Sessions in the order they began to be, and those of each key as a linked list.

    Shapes:  codes, starts, ends, following (capacity,); heads (codes,) int64; `following` and
             `heads` hold slots, or NONE.
    """

    codes: IntArray
    starts: IntArray
    ends: IntArray
    following: IntArray
    heads: IntArray


class Arrivals(NamedTuple):
    """Records in the order they came; fates are written in place.

    Shapes:  codes, watermarks, fates (n,); values n records.
    """

    codes: IntArray
    watermarks: IntArray
    fates: Fates
    values: Values


@compiled(folds, rows)
def take_sessions(
    sessions: Sessions,
    totals: Totals,
    arrivals: Arrivals,
    operations: Operations,
    spans: tuple[int, int, int],
) -> int:
    """Fold records into the sessions they touch, one after the other; return the slots used.

    `spans` are the slots used before, the gap and the longest length in ns. Late records get their
    fate. Sessions the watermark has passed stay as they are, but no record finds them.
    """
    used, gap, length = spans
    for row in range(len(arrivals.codes)):
        if arrivals.fates[row] != TAKEN:
            continue
        time, code = arrivals.values.times[row], arrivals.codes[row]
        end = min(time + gap, (time // length + 1) * length)
        target, other = _touched(
            sessions, (code, time, end), arrivals.watermarks[row], time // length * length
        )
        if target == NONE:
            if end <= arrivals.watermarks[row]:
                arrivals.fates[row] = LATE
                continue
            target, used = used, used + 1
            _begin(sessions, target, code, time)
        if other != NONE:
            merge_slots(totals, target, other, operations)
            sessions.ends[target] = sessions.ends[other]
            sessions.ends[other] = MERGED
        sessions.starts[target] = min(sessions.starts[target], time)
        sessions.ends[target] = max(sessions.ends[target], end)
        fold_row(totals, target, row, arrivals.values, operations)
    return used


@njit(cache=True, nogil=True)
def _touched(
    sessions: Sessions, record: tuple[int, int, int], watermark: int, cut: int
) -> tuple[int, int]:
    """Return the open sessions that a record's window overlaps, the earlier first.

    There are two at most: sessions lie a gap apart, and none reaches over a cut.
    """
    code, time, end = record
    target, other, before, slot = NONE, NONE, NONE, sessions.heads[code]
    while slot != NONE:
        after = sessions.following[slot]
        if sessions.ends[slot] <= watermark:
            # Passed, or part of another: what is out of the list is not walked over again.
            if before == NONE:
                sessions.heads[code] = after
            else:
                sessions.following[before] = after
        else:
            if cut <= sessions.starts[slot] < end and sessions.ends[slot] > time:
                if target == NONE or sessions.starts[slot] > sessions.starts[target]:
                    target, other = (slot, NONE) if target == NONE else (target, slot)
                else:
                    target, other = slot, target
            before = slot
        slot = after
    return target, other


@njit(cache=True, nogil=True)
def _begin(sessions: Sessions, slot: int, code: int, time: int) -> None:
    sessions.codes[slot] = code
    sessions.starts[slot], sessions.ends[slot] = time, time
    sessions.following[slot] = sessions.heads[code]
    sessions.heads[code] = slot
