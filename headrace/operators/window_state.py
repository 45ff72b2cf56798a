"""The open windows of one partition in columns, and how they are written down, a page a key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import msgspec
import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray
from headrace.errors import InvariantError
from headrace.operators.folds import MARKS, Operations, Totals, new_totals
from headrace.operators.rows import NO_TIME_NS

HEADER_PAGE = 0
FIRST_KEY_PAGE = 1
PLACES = 2
"""Rows of integers before the totals': start and end."""


class _Page(msgspec.Struct, array_like=True):
    """The windows of a key: integers then floats, a row a number, an item a window.

    Of counters only those that are not 0: where they are among all of them, and how much.
    """

    key: str
    integers: bytes
    floats: bytes
    counters: bytes = b""


@dataclass(slots=True)
class WindowState:
    """The open windows of all keys, ascending by code, then by end.

    A key has a code, its page's number, while it has windows. Codes are `changed` since the last
    dump, and `written` if their page stands in the store. Integers from row `first_counter` on are
    counters.

    Shapes:  codes, starts, ends (S,) int64; totals S items.
    """

    codes: IntArray
    starts: IntArray
    ends: IntArray
    totals: Totals
    first_counter: int
    latest_ns: int = NO_TIME_NS
    code_by_key: dict[str, int] = field(default_factory=dict)
    key_by_code: dict[int, str] = field(default_factory=dict)
    free_codes: list[int] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        """Return how many windows are open."""
        return len(self.codes)

    @classmethod
    def empty(cls, operations: Operations) -> "WindowState":
        """Return a state without windows."""
        nothing = np.zeros(0, np.int64)
        totals, first_counter = new_totals(operations, 0), int(operations.counters[0])
        return cls(nothing, nothing.copy(), nothing.copy(), totals, first_counter)

    def codes_of(self, keys: pa.DictionaryArray) -> IntArray:
        """Return the code of each key, giving codes to new ones."""
        present = keys.indices.unique()
        names = keys.dictionary.take(present).to_pylist()
        codes = np.zeros(len(keys.dictionary), np.int64)
        codes[present.to_numpy()] = [self._code(name) for name in names]
        found: IntArray = codes[keys.indices.to_numpy()]
        return found

    def new_keys(self, keys: pa.DictionaryArray) -> int:
        """Return how many of these keys have no window."""
        names = keys.dictionary.take(keys.indices.unique()).to_pylist()
        return sum(name not in self.code_by_key for name in names)

    def keep(self, kept: BoolArray) -> None:
        """Forget the other windows."""
        self.changed.update(np.unique(self.codes[~kept]).tolist())
        self.codes, self.starts, self.ends = (
            column[kept] for column in (self.codes, self.starts, self.ends)
        )
        self.totals = self.totals.at(kept)

    def free_keys(self) -> None:
        """Take the codes back of keys without windows."""
        held = set(np.unique(self.codes).tolist())
        for code in sorted(self.key_by_code.keys() - held):
            del self.code_by_key[self.key_by_code.pop(code)]
            self.free_codes.append(code)
            self.changed.add(code)

    def dump(self) -> dict[int, bytes | None]:
        """Return the header and the pages of the keys whose windows changed since the last call."""
        pages: dict[int, bytes | None] = {
            HEADER_PAGE: self.latest_ns.to_bytes(8, "little", signed=True)
        }
        for code in sorted(self.changed):
            first, end = np.searchsorted(self.codes, [code, code + 1]).tolist()
            key = self.key_by_code.get(code)
            page = None
            if key is not None and end > first:
                page = self._page(key, slice(first, end))
            if page is not None or code in self.written:
                pages[FIRST_KEY_PAGE + code] = page
            (self.written.discard if page is None else self.written.add)(code)
        self.changed.clear()
        return pages

    def _page(self, key: str, span: slice) -> bytes:
        marks, ints, floats = (rows[:, span] for rows in self.totals)
        plain, counters = np.split(ints, [self.first_counter])
        integers = np.vstack([self.starts[span], self.ends[span], marks, plain])
        places = np.flatnonzero(counters)
        counted = np.stack([places, counters.ravel()[places]])
        numbers = (integers, np.ascontiguousarray(floats), counted)
        return msgspec.msgpack.encode(_Page(key, *(rows.tobytes() for rows in numbers)))

    def _code(self, key: str) -> int:
        code = self.code_by_key.get(key)
        if code is None:
            code = self.free_codes.pop() if self.free_codes else len(self.code_by_key)
            self.code_by_key[key] = code
            self.key_by_code[code] = key
        return code


def load_windows(name: str, operations: Operations, pages: Mapping[int, bytes]) -> WindowState:
    """Return the state that these pages were dumped from.

    Raises:  InvariantError if a page is missing or of another layout.
    """
    state = WindowState.empty(operations)
    state.latest_ns = int.from_bytes(pages[HEADER_PAGE], "little", signed=True)
    rows = PLACES + MARKS + state.first_counter
    counters = len(operations.ints) - state.first_counter
    integers, floats, codes = [], [], []
    for number in sorted(pages.keys() - {HEADER_PAGE}):
        page = msgspec.msgpack.decode(pages[number], type=_Page)
        columns = np.frombuffer(page.integers, np.int64)
        count = len(columns) // rows
        if count * rows != len(columns) or len(page.floats) != 8 * count * len(operations.floats):
            raise InvariantError(
                f"windows {name}, key {page.key[:100]!r}: expected {rows} integers and "
                f"{len(operations.floats)} floats a window, found {len(columns)} and "
                f"{len(page.floats) // 8}; the aggregates changed, so raise the table's version"
            )
        counted = np.zeros(counters * count, np.int64)
        places, counts = np.frombuffer(page.counters, np.int64).reshape(2, -1)
        counted[places] = counts
        integers.append(np.vstack([columns.reshape(rows, count), counted.reshape(counters, count)]))
        floats.append(np.frombuffer(page.floats, np.float64).reshape(-1, count))
        codes.append(np.full(count, number - FIRST_KEY_PAGE, np.int64))
        state.code_by_key[page.key] = number - FIRST_KEY_PAGE
        state.key_by_code[number - FIRST_KEY_PAGE] = page.key
    if codes:
        held = np.hstack(integers)
        state.codes = cast("IntArray", np.concatenate(codes))
        state.starts, state.ends = held[0].copy(), held[1].copy()
        marks = held[PLACES : PLACES + MARKS].copy()
        state.totals = Totals(marks, held[PLACES + MARKS :].copy(), np.hstack(floats).copy())
    used = state.key_by_code
    state.written = set(used)
    state.free_codes = [code for code in range(max(used, default=-1), -1, -1) if code not in used]
    return state
