"""Puts records into the windows they belong to: columns for aligned ones, a loop for sessions."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from headrace.batch import IntArray
from headrace.operators.folds import Operations, Values, fold_rows, new_totals
from headrace.operators.rows import LATE, TAKEN, Fates
from headrace.operators.session_kernel import MERGED, NONE, Arrivals, Sessions, take_sessions
from headrace.operators.window_kinds import Hopping, Session, WindowKind
from headrace.operators.window_state import WindowState

CELLS_A_PAIR_MAX = 16
"""Cells of a table of keys by windows up to which marking them beats sorting the pairs."""


class Additions(NamedTuple):
    """Records on their way into windows; fates are written in place.

    Shapes:  keys, fates, watermarks (n,); values n records.
    """

    keys: pa.DictionaryArray
    fates: Fates
    watermarks: IntArray
    values: Values

    def part(self, first: int, end: int) -> "Additions":
        """Return the records from `first` to before `end`, in the same memory."""
        rows = slice(first, end)
        return Additions(
            self.keys.slice(first, end - first),
            self.fates[rows],
            self.watermarks[rows],
            self.values.at(rows),
        )

    def taken_keys(self) -> pa.DictionaryArray:
        """Return the keys of the records nothing speaks against so far."""
        if (self.fates == TAKEN).all():
            return self.keys
        return self.keys.filter(pa.array(self.fates == TAKEN))


def place(
    kind: WindowKind, state: WindowState, additions: Additions, operations: Operations
) -> None:
    """Fold records into their windows, opening those that are not there; tell the late ones.

    Windows that the watermark has passed are still there afterwards.
    """
    codes = np.zeros(len(additions.fates), np.int64)
    taken = additions.fates == TAKEN
    codes[taken] = state.codes_of(additions.taken_keys())
    if isinstance(kind, Session):
        _place_in_sessions(kind, state, codes, additions, operations)
    else:
        _place_aligned(kind, state, codes, additions, operations)


def _place_aligned(
    kind: Hopping,
    state: WindowState,
    codes: IntArray,
    additions: Additions,
    operations: Operations,
) -> None:
    taken = additions.fates == TAKEN
    ends, inside = kind.ends(additions.values.times)
    inside &= (ends > additions.watermarks[:, None]) & taken[:, None]
    additions.fates[taken & ~inside.any(axis=1)] = LATE
    rows, columns = np.nonzero(inside)
    # Records that are in the same windows are looked up as one: with 60 windows a record there
    # would be 60 times as many to sort.
    alike, alike_codes, alike_ends = _numbered(codes, ends[:, -1], kind.hop_ns)
    needed = np.zeros((len(alike_codes), ends.shape[1]), np.bool_)
    needed[alike[rows], columns] = True
    which, column = np.nonzero(needed)
    added_codes = alike_codes[which]
    added_ends = alike_ends[which] - (ends.shape[1] - 1 - column) * kind.hop_ns
    held = len(state)
    slots, state.codes, state.ends = _numbered(
        np.concatenate([state.codes, added_codes]),
        np.concatenate([state.ends, added_ends]),
        kind.hop_ns,
    )
    totals = new_totals(operations, len(state.codes))
    for old, new in zip(state.totals, totals, strict=True):
        new[:, slots[:held]] = old
    slot_by_column = np.zeros(needed.shape, np.int64)
    slot_by_column[which, column] = slots[held:]
    placed = slot_by_column[alike[rows], columns]
    fold_rows(totals, placed, rows, additions.values, operations)
    state.starts, state.totals = state.ends - kind.size_ns, totals
    state.changed.update(np.unique(added_codes).tolist())


def _numbered(codes: IntArray, ends: IntArray, hop_ns: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return for each pair the number of its kind, and the kinds, ascending; ends lie hops apart.

    Shapes:  (n,) in; (n,), (kinds,), (kinds,) out.
    """
    if not len(ends):
        return codes, codes, ends
    first_ns = int(ends.min())
    width = (int(ends.max()) - first_ns) // hop_ns + 1
    cells = width * (int(codes.max()) + 1)
    if cells > CELLS_A_PAIR_MAX * len(ends):
        return _numbered_by_sorting(codes, ends)
    cell = codes * width + (ends - first_ns) // hop_ns
    is_held = np.zeros(cells, np.bool_)
    is_held[cell] = True
    held = np.flatnonzero(is_held)
    numbers: IntArray = (np.cumsum(is_held) - 1)[cell]
    return numbers, held // width, held % width * hop_ns + first_ns


def _numbered_by_sorting(codes: IntArray, ends: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return the same where a cell for each pair there could be would be too many."""
    order = np.lexsort((ends, codes))
    sorted_codes, sorted_ends = codes[order], ends[order]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = sorted_codes[1:] != sorted_codes[:-1]
    begins[1:] |= sorted_ends[1:] != sorted_ends[:-1]
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(begins) - 1
    return numbers, sorted_codes[begins], sorted_ends[begins]


def _place_in_sessions(
    kind: Session,
    state: WindowState,
    codes: IntArray,
    additions: Additions,
    operations: Operations,
) -> None:
    held, capacity = len(state), len(state) + len(codes)
    sessions = Sessions(
        codes=_grown(state.codes, capacity),
        starts=_grown(state.starts, capacity),
        ends=_grown(state.ends, capacity),
        following=np.full(capacity, NONE, np.int64),
        heads=np.full(len(state.code_by_key) + len(state.free_codes) + 1, NONE, np.int64),
    )
    # The first of a key's slots is its head, each other follows the one before it.
    if held:
        first = np.ones(held, np.bool_)
        first[1:] = state.codes[1:] != state.codes[:-1]
        sessions.heads[state.codes[first]] = np.flatnonzero(first)
        sessions.following[: held - 1][~first[1:]] = np.flatnonzero(~first)
    totals = new_totals(operations, capacity)
    for old, new in zip(state.totals, totals, strict=True):
        new[:, :held] = old
    arrivals = Arrivals(codes, additions.watermarks, additions.fates, additions.values)
    spans = (held, kind.gap_ns, kind.length_ns_max)
    used = take_sessions(sessions, totals, arrivals, operations, spans)
    left = np.flatnonzero(sessions.ends[:used] != MERGED)
    order = left[np.lexsort((sessions.ends[left], sessions.codes[left]))]
    state.codes, state.starts, state.ends = (
        column[order] for column in (sessions.codes, sessions.starts, sessions.ends)
    )
    state.totals = totals.at(order)
    state.changed.update(np.unique(codes[additions.fates == TAKEN]).tolist())


def _grown(column: IntArray, capacity: int) -> IntArray:
    grown = np.zeros(capacity, np.int64)
    grown[: len(column)] = column
    return grown
