"""The price levels of one order book, in arrays that compiled loops change in place."""

from typing import Any

import numpy as np
from numba import njit

from headrace.batch import IntArray

LEVELS_MAX = 5_000
"""Levels kept a side: the deepest snapshot a venue serves; what lies farther away is dropped."""

TOP_LEVELS = 10
"""Levels a book record carries a side."""

CAPACITY_MIN = 64
"""Levels a new side has room for; it doubles as the book grows."""

KEY, SIZE, FORM = 0, 1, 2
"""Rows of a side and of a block of updates: price (a side holds asks as -price), size, text form.

The text form says how many decimals the venue wrote, `price decimals * 256 + size decimals`:
checksums are taken over the text.
"""
ROWS = 3

BIDS_LISTED, ASKS_LISTED, BID_LEVELS, ASK_LEVELS = 0, 1, 2, 3
BID_PRICES = 4
BID_SIZES = BID_PRICES + TOP_LEVELS
ASK_PRICES = BID_SIZES + TOP_LEVELS
ASK_SIZES = ASK_PRICES + TOP_LEVELS
TOP_WIDTH = ASK_SIZES + TOP_LEVELS
"""Columns of a row of tops: counts first, then prices and sizes, best first."""

Side = list[list[int]]
"""Best first: prices, sizes, text forms."""


def new_tops(count: int) -> IntArray:
    """Return room for the tops of so many books.  Shapes:  (count, TOP_WIDTH)."""
    return np.zeros((count, TOP_WIDTH), np.int64)


class OrderBook:
    """Bids and asks by price; the best level stands last in its array, where most changes are.

    `dropped` counts the levels that fell out beyond `levels_max` since the book was made.
    """

    __slots__ = ("_asks", "_bids", "_bounds", "ask_levels", "bid_levels", "crossed", "dropped")

    def __init__(self) -> None:
        self._bids: IntArray = np.empty((ROWS, CAPACITY_MIN), np.int64)
        self._asks: IntArray = np.empty((ROWS, CAPACITY_MIN), np.int64)
        self._bounds: IntArray = np.zeros(4, np.int64)
        self.bid_levels = 0
        self.ask_levels = 0
        self.crossed = False
        self.dropped = 0

    def apply(
        self,
        updates: IntArray,
        bounds: tuple[int, int, int],
        levels_max: int,
        tops: IntArray,
        row: int,
    ) -> None:
        """Set the levels that changed, size 0 deletes; write the book's top into `tops[row]`.

        `bounds` are first, middle, end: `updates[:, first:middle]` are bids, the rest asks.
        Shapes:  updates (3, n): prices, sizes, text forms; tops (rows, TOP_WIDTH).
        """
        first, middle, end = bounds
        if 2 * self.bid_levels + middle - first > self._bids.shape[1]:
            self._bids = _grown(self._bids, 2 * self.bid_levels + middle - first)
        if 2 * self.ask_levels + end - middle > self._asks.shape[1]:
            self._asks = _grown(self._asks, 2 * self.ask_levels + end - middle)
        self.bid_levels, self.ask_levels, dropped, self.crossed = _apply(
            self._bids, self._asks, self._bounds, updates, first, middle, end, levels_max, tops, row
        )
        if dropped:
            self.dropped += dropped

    def replace(
        self,
        updates: IntArray,
        bounds: tuple[int, int, int],
        levels_max: int,
        tops: IntArray,
        row: int,
    ) -> None:
        """Forget every level, then apply; as `apply`, in any order of levels."""
        first, middle, end = bounds
        bids, asks = updates[:, first:middle], updates[:, middle:end]
        bids = bids[:, np.argsort(bids[KEY], kind="stable")]
        asks = asks[:, np.argsort(-asks[KEY], kind="stable")]
        ordered = np.concatenate([bids, asks], axis=1)
        self.restore(_NO_UPDATES, _NO_UPDATES)
        self.apply(ordered, (0, bids.shape[1], ordered.shape[1]), levels_max, tops, row)
        # Copied once more: a snapshot far deeper than the limit leaves no large array behind.
        self.restore(*self.sides())

    def best(self, levels: int) -> tuple[Side, Side]:
        """Return the best bids and asks, at most so many a side."""
        bids, asks = self.sides()
        asks[KEY] *= -1
        return (
            bids[:, ::-1][:, :levels].tolist(),
            asks[:, ::-1][:, :levels].tolist(),
        )

    def sides(self) -> tuple[IntArray, IntArray]:
        """Return copies of both sides, deepest level first.  Shapes:  (3, levels), asks negated."""
        bid_start, bid_end, ask_start, ask_end = self._bounds.tolist()
        return self._bids[:, bid_start:bid_end].copy(), self._asks[:, ask_start:ask_end].copy()

    def restore(self, bids: IntArray, asks: IntArray) -> None:
        """Take the sides of another book, as `sides` gave them."""
        self.bid_levels, self.ask_levels = bids.shape[1], asks.shape[1]
        self._bids = _grown(bids, 2 * self.bid_levels)
        self._asks = _grown(asks, 2 * self.ask_levels)
        self._bounds[:] = (0, self.bid_levels, 0, self.ask_levels)


_NO_UPDATES: IntArray = np.empty((ROWS, 0), np.int64)


def _grown(levels: IntArray, needed: int) -> IntArray:
    capacity = CAPACITY_MIN
    while capacity < needed:
        capacity *= 2
    grown: IntArray = np.empty((ROWS, max(capacity, levels.shape[1])), np.int64)
    grown[:, : levels.shape[1]] = levels
    return grown


@njit(cache=True)
def _apply(  # noqa: PLR0917 (a compiled loop takes its arrays one by one)
    bids: Any,
    asks: Any,
    bounds: Any,
    updates: Any,
    first: int,
    middle: int,
    end: int,
    levels_max: int,
    tops: Any,
    row: int,
) -> Any:
    bid_start, bid_end = _with_room(bids, bounds[0], bounds[1], middle - first)
    for index in range(first, middle):
        bid_start, bid_end = _put(
            bids, bid_start, bid_end, updates[0, index], updates[1, index], updates[2, index]
        )
    ask_start, ask_end = _with_room(asks, bounds[2], bounds[3], end - middle)
    for index in range(middle, end):
        ask_start, ask_end = _put(
            asks, ask_start, ask_end, -updates[0, index], updates[1, index], updates[2, index]
        )
    # A whole message is applied before the farthest levels go: Kraken's rule, harmless elsewhere.
    bids_over = max(0, bid_end - bid_start - levels_max)
    asks_over = max(0, ask_end - ask_start - levels_max)
    bid_start += bids_over
    ask_start += asks_over
    bounds[0], bounds[1], bounds[2], bounds[3] = bid_start, bid_end, ask_start, ask_end
    bid_levels, ask_levels = bid_end - bid_start, ask_end - ask_start
    tops[row, BID_LEVELS] = bid_levels
    tops[row, ASK_LEVELS] = ask_levels
    bids_listed = min(bid_levels, TOP_LEVELS)
    asks_listed = min(ask_levels, TOP_LEVELS)
    tops[row, BIDS_LISTED] = bids_listed
    tops[row, ASKS_LISTED] = asks_listed
    for rank in range(bids_listed):
        tops[row, BID_PRICES + rank] = bids[KEY, bid_end - 1 - rank]
        tops[row, BID_SIZES + rank] = bids[SIZE, bid_end - 1 - rank]
    for rank in range(asks_listed):
        tops[row, ASK_PRICES + rank] = -asks[KEY, ask_end - 1 - rank]
        tops[row, ASK_SIZES + rank] = asks[SIZE, ask_end - 1 - rank]
    crossed = False
    if bid_levels > 0 and ask_levels > 0:
        crossed = bids[KEY, bid_end - 1] > -asks[KEY, ask_end - 1]
    return bid_levels, ask_levels, bids_over + asks_over, crossed


@njit(cache=True)
def _with_room(levels: Any, start: int, end: int, updates: int) -> Any:
    """Move the window down if the updates might not fit behind it; return where it is now.

    The caller keeps twice the levels' room, so that a full book moves once in thousands of inserts.
    """
    if levels.shape[1] - end >= updates:
        return start, end
    for row in range(ROWS):
        _move_down(levels[row, start:end], levels[row, 0 : end - start])
    return 0, end - start


@njit(cache=True)
def _put(  # noqa: PLR0917 (as `_apply`)
    levels: Any, start: int, end: int, key: int, size: int, form: int
) -> Any:
    """Set, insert or delete one level.  Return the new start and end."""
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        if levels[KEY, middle] < key:
            low = middle + 1
        else:
            high = middle
    held = low < end and levels[KEY, low] == key
    if size == 0:
        return _delete(levels, start, end, low) if held else (start, end)
    if not held:
        start, end, low = _open(levels, start, end, low)
    levels[KEY, low] = key
    levels[SIZE, low] = size
    levels[FORM, low] = form
    return start, end


@njit(cache=True)
def _delete(levels: Any, start: int, end: int, place: int) -> Any:
    """Close the place of a level; the shorter part moves."""
    if place - start < end - place:
        for row in range(ROWS):
            _move_up(levels[row, start:place], levels[row, start + 1 : place + 1])
        return start + 1, end
    for row in range(ROWS):
        _move_down(levels[row, place + 1 : end], levels[row, place : end - 1])
    return start, end - 1


@njit(cache=True)
def _open(levels: Any, start: int, end: int, place: int) -> Any:
    """Open a place before the level at `place`; the shorter part moves, if there is room for it."""
    if start > 0 and place - start < end - place:
        for row in range(ROWS):
            _move_down(levels[row, start:place], levels[row, start - 1 : place - 1])
        return start - 1, end, place - 1
    for row in range(ROWS):
        _move_up(levels[row, place:end], levels[row, place + 1 : end + 1])
    return start, end + 1, place


@njit(cache=True)
def _move_up(old: Any, new: Any) -> None:
    """Copy from the end on, for the new place overlaps the old one behind it.

    Over views, such a loop is compiled to block moves: ten times as fast as over the whole array.
    """
    for index in range(len(old) - 1, -1, -1):
        new[index] = old[index]


@njit(cache=True)
def _move_down(old: Any, new: Any) -> None:
    """Copy from the start on, for the new place overlaps the old one before it."""
    for index in range(len(old)):
        new[index] = old[index]
