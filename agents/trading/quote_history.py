"""The last quotes of an instrument in columns, so that an order can be met by an earlier one."""

from collections.abc import Mapping

import numpy as np

from headrace.batch import IntArray

QUOTE_HISTORY_MAX = 65_536
"""Quotes an instrument keeps: 4 MiB; at 8,000 quotes a second orders may come 8 s behind."""

PAGE_QUOTES = 128
"""Quotes on a page: 8 KiB, so that a quiet instrument writes little at each commit."""

FIRST_CAPACITY = 1_024

TIME, SEQUENCE, BID_PRICE, BID_SIZE, ASK_PRICE, ASK_SIZE, BID_TAKEN, ASK_TAKEN = range(8)
"""The columns. Taken: lots of ours that were already filled against the quote's side."""

COLUMNS = 8


class QuoteHistory:
    """A ring of quotes that grows to its capacity and then forgets the oldest.

    Quotes are numbered from 0 as they are added; quote n is in slot n % capacity. While the ring
    grows it has not wrapped yet, so slots and pages keep their numbers.
    """

    def __init__(self, quotes_max: int = QUOTE_HISTORY_MAX) -> None:
        self.page_count = quotes_max // PAGE_QUOTES
        self._quotes_max = quotes_max
        self._columns = np.zeros((COLUMNS, min(FIRST_CAPACITY, quotes_max)), np.int64)
        self._changed: set[int] = set()
        self.added = 0

    @property
    def first(self) -> int:
        """Return the number of the oldest quote that is kept."""
        return max(0, self.added - self._columns.shape[1])

    @property
    def last_time_ns(self) -> int:
        """Return the receive time of the last quote, or 0."""
        return self.value(self.added - 1, TIME) if self.added else 0

    @property
    def last_sequence(self) -> int:
        """Return the sequence of the last quote, or 0."""
        return self.value(self.added - 1, SEQUENCE) if self.added else 0

    def value(self, number: int, column: int) -> int:
        """Return one value of a quote that is kept."""
        return int(self._columns[column, number % self._columns.shape[1]])

    def append(self, quotes: IntArray) -> None:
        """Add quotes in order of time.

        Shapes:  (6, n) int64: TIME to ASK_SIZE.
        """
        added = quotes.shape[1]
        self._grow(self.added + added)
        capacity = self._columns.shape[1]
        skipped = max(0, added - capacity)
        self.added += skipped
        start = self.added % capacity
        kept = quotes[:, skipped:]
        head = min(capacity - start, added - skipped)
        self._write(start, kept[:, :head])
        self._write(0, kept[:, head:])
        self.added += added - skipped

    def take(self, number: int, column: int, lots: int) -> None:
        """Add to what was taken of a quote that is kept."""
        slot = number % self._columns.shape[1]
        self._columns[column, slot] += lots
        self._changed.add(slot // PAGE_QUOTES)

    def prevailing(self, time_ns: int) -> int:
        """Return the number of the last quote at or before a time, or `first - 1` if none is kept.

        Bisection over the numbers: the ring's slots are not in order of time once it has wrapped.
        """
        low, high = self.first, self.added
        while low < high:
            middle = (low + high) // 2
            if self.value(middle, TIME) <= time_ns:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def dump(self) -> dict[int, bytes | None]:
        """Return the pages with new quotes, led by the page's last quote number plus one."""
        pages: dict[int, bytes | None] = {}
        filled = min(self.added, self._columns.shape[1])
        for page in sorted(self._changed):
            start = page * PAGE_QUOTES
            end = min(start + PAGE_QUOTES, filled)
            number = np.array([self.added], np.int64).tobytes()
            pages[page] = number + self._columns[:, start:end].tobytes()
        self._changed.clear()
        return pages

    def load(self, pages: Mapping[int, bytes]) -> None:
        """Take the quotes of these pages."""
        word = np.dtype(np.int64).itemsize
        self.added = max(
            (int(np.frombuffer(page[:word], np.int64)[0]) for page in pages.values()), default=0
        )
        self._grow(self.added)
        for number, page in pages.items():
            columns = np.frombuffer(page[word:], np.int64).reshape(COLUMNS, -1)
            start = number * PAGE_QUOTES
            self._columns[:, start : start + columns.shape[1]] = columns

    def _grow(self, needed: int) -> None:
        capacity = self._columns.shape[1]
        while capacity < min(needed, self._quotes_max):
            capacity = min(capacity * 2, self._quotes_max)
        if capacity > self._columns.shape[1]:
            grown = np.zeros((COLUMNS, capacity), np.int64)
            grown[:, : self._columns.shape[1]] = self._columns
            self._columns = grown

    def _write(self, start: int, quotes: IntArray) -> None:
        end = start + quotes.shape[1]
        if start == end:
            return
        self._columns[: ASK_SIZE + 1, start:end] = quotes
        self._columns[BID_TAKEN:, start:end] = 0
        self._changed.update(range(start // PAGE_QUOTES, (end - 1) // PAGE_QUOTES + 1))
