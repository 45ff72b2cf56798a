"""Lets so many records of a key through in each interval of event time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
import numpy as np
from numba import njit

from headrace.batch import IntArray
from headrace.errors import InvariantError, UsageError
from headrace.operators.limits import KEYS_MAX
from headrace.operators.rows import (
    KEY_REFUSED,
    LATE,
    NO_TIME_NS,
    OVER_LIMIT,
    TAKEN,
    Fates,
    LatePolicy,
    LeftOut,
    Rows,
    latest_at,
    require_span,
)

HEADER_PAGE = 0
FIRST_KEY_PAGE = 1


class _Page(msgspec.Struct, array_like=True):
    key: str
    interval: int
    passed: int


@dataclass(slots=True)
class RateState:
    """By key its last interval, and how many records of it passed; `names[n]` is key number n.

    Shapes:  intervals and passed as many as there are keys, or more.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    names: list[str | None] = field(default_factory=list)
    intervals: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    passed: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    latest_ns: int = NO_TIME_NS
    changed: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)

    def number_of(self, key: str) -> int:
        """Return the number of a key, giving a new one the first that is free."""
        number = self.numbers.get(key)
        if number is None:
            number = len(self.names)
            if len(self.numbers) < number:
                number = self.names.index(None)
                self.names[number] = key
            else:
                self.names.append(key)
            self.numbers[key] = number
            if number >= len(self.intervals):
                more = np.zeros(max(16, len(self.intervals)), np.int64)
                self.intervals = np.concatenate([self.intervals, more])
                self.passed = np.concatenate([self.passed, more])
            self.intervals[number], self.passed[number] = NO_TIME_NS, 0
        self.changed.add(number)
        return number

    def forget_before(self, interval: int) -> None:
        """Forget the keys whose last interval was before this one."""
        for key in [k for k, n in self.numbers.items() if self.intervals[n] < interval]:
            number = self.numbers.pop(key)
            self.names[number] = None
            self.changed.add(number)

    def dump(self) -> dict[int, bytes | None]:
        """Return the header and the pages of the keys that changed since the last call."""
        pages: dict[int, bytes | None] = {
            HEADER_PAGE: self.latest_ns.to_bytes(8, "little", signed=True)
        }
        for number in sorted(self.changed):
            name, page = self.names[number], None
            if name is not None:
                marks = int(self.intervals[number]), int(self.passed[number])
                page = msgspec.msgpack.encode(_Page(name, *marks))
            if page is not None or number in self.written:
                pages[FIRST_KEY_PAGE + number] = page
            (self.written.discard if page is None else self.written.add)(number)
        self.changed.clear()
        return pages


@dataclass(frozen=True, slots=True)
class Limited:
    """The rows that pass, ascending, and what was left out."""

    rows: IntArray
    left_out: LeftOut


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Declares that `records_max` records of a key pass in each interval of event time.

    Intervals are [n x interval_ns, (n + 1) x interval_ns); the first to arrive in one pass, the
    rest are counted. A record of an interval before the last of its key is late: left out, counted,
    a dead letter if the policy is `dead`. (Two intervals' worth may pass around a border: this
    bounds work, it is no risk limit.)
    **Limits.** At `keys_max` keys those are forgotten whose last interval was before that of the
    latest event time; a record of one more is left out if none was.

    Raises:  UsageError if a number cannot be.
    Counts:  `over_limit`, `late`, `key_refused`, `time_out_of_range`.
    Source:  the fixed window counter.
    """

    records_max: int
    interval_ns: int = 1_000_000_000
    keys_max: int = KEYS_MAX
    late: LatePolicy = "drop"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        require_span("interval_ns of a rate", self.interval_ns, least=1)
        if self.records_max < 1 or not 0 < self.keys_max <= KEYS_MAX:
            raise UsageError(
                f"operator, rate: expected records_max from 1 and keys_max from 1 to {KEYS_MAX}, "
                f"found {self.records_max} and {self.keys_max}"
            )

    @property
    def layout(self) -> str:
        """Return what tells this way of counting from another."""
        return f"rate in {self.interval_ns} ns"

    def new(self) -> RateState:
        """Return a state without keys."""
        return RateState()

    def load(self, name: str, pages: Mapping[int, bytes]) -> RateState:
        """Return the state that these pages were dumped from.

        Raises:  InvariantError if a key is there twice.
        """
        state = RateState(latest_ns=int.from_bytes(pages[HEADER_PAGE], "little", signed=True))
        places = sorted(pages.keys() - {HEADER_PAGE})
        count = max(places, default=0)
        state.names = [None] * count
        state.intervals, state.passed = np.zeros((2, count), np.int64)
        for place in places:
            page = msgspec.msgpack.decode(pages[place], type=_Page)
            number = place - FIRST_KEY_PAGE
            if page.key in state.numbers:
                raise InvariantError(f"rate {name}: expected key {page.key[:100]!r} once")
            state.names[number] = page.key
            state.numbers[page.key] = number
            state.intervals[number], state.passed[number] = page.interval, page.passed
        state.written = set(state.numbers.values())
        return state

    def add(self, state: RateState, rows: Rows) -> Limited:
        """Return which rows pass."""
        fates = rows.fates()
        if len(rows):
            latest = latest_at(rows.times_ns, fates, state.latest_ns)
            self._take(state, rows, fates, latest, (0, len(rows)))
            state.latest_ns = int(latest[-1])
        left_out = LeftOut(fates, self.late)
        return Limited(left_out.rows(TAKEN), left_out)

    def _take(
        self, state: RateState, rows: Rows, fates: Fates, latest: IntArray, span: tuple[int, int]
    ) -> None:
        first, end = span
        places = first + np.flatnonzero(fates[first:end] == TAKEN)
        if not len(places):
            return
        encoded = rows.keys.take(places).dictionary_encode()
        names: list[str] = encoded.dictionary.to_pylist()
        new = sum(name not in state.numbers for name in names)
        full = len(state.numbers) + new > self.keys_max
        if full and end - first > 1:
            # Row by row in the end: which key is refused must not depend on the cut.
            for half in pairwise((first, (first + end) // 2, end)):
                self._take(state, rows, fates, latest, half)
            return
        if full:
            state.forget_before(int(latest[first]) // self.interval_ns)
            if len(state.numbers) >= self.keys_max:
                fates[first] = KEY_REFUSED
                return
        numbers = np.array([state.number_of(name) for name in names], np.int64)
        codes = numbers[encoded.indices.to_numpy()]
        intervals = rows.times_ns // self.interval_ns
        count_rows(
            state.intervals, state.passed, (codes, places, intervals), fates, self.records_max
        )


@njit(cache=True, nogil=True)
def count_rows(
    last: IntArray,
    passed: IntArray,
    arrivals: tuple[IntArray, IntArray, IntArray],
    fates: Fates,
    most: int,
) -> None:
    """Count rows of keys, one after the other; tell those that are late or too many."""
    codes, places, intervals = arrivals
    for index in range(len(codes)):
        code, row = codes[index], places[index]
        if intervals[row] < last[code]:
            fates[row] = LATE
            continue
        if intervals[row] > last[code]:
            last[code], passed[code] = intervals[row], 0
        if passed[code] >= most:
            fates[row] = OVER_LIMIT
        else:
            passed[code] += 1
