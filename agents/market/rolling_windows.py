"""What `build_features` remembers of one instrument, and how it is written down in pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from agents.market.window_kernels import rebuild_suffixes
from agents.market.window_layout import (
    AGGRESSOR,
    FLOW_HEAD,
    FLOW_MARKS,
    FLOW_WINDOWS_NS,
    FLOWS_SEEN,
    HEAD,
    INCREMENT,
    MARKS,
    QUOTES_HELD_MAX,
    TRADES_HELD_MAX,
    TRADES_SEEN,
    WINDOW_MARKS,
    WINDOWS_NS,
    State,
)
from headrace.batch import FloatArray, IntArray
from headrace.errors import InvariantError

N = TypeVar("N", bound=np.generic)

PAGE_ENTRIES = 256
"""Ring entries a page: a commit writes at most one partly filled page of each ring again."""
CAPACITY_MIN = 16
"""Room of a new ring: most instruments of a venue are quiet."""

HEADER_PAGE = 0
HEADER_INTS = MARKS + len(WINDOWS_NS) * WINDOW_MARKS + len(FLOW_WINDOWS_NS) * FLOW_MARKS
HEADER_BYTES = 8 * (HEADER_INTS + len(WINDOWS_NS))


class Ring(NamedTuple):
    """How the entries of one ring are numbered in pages."""

    first_page: int
    pages: int
    rows: int
    entries_max: int


# A ring of n pages touches n + 1 of them when its oldest entry stands inside one; twice as many
# numbers keep a page's number its own for as long as it lives.
TRADE_RING = Ring(1, 2 * TRADES_HELD_MAX // PAGE_ENTRIES, AGGRESSOR + 2, TRADES_HELD_MAX)
QUOTE_RING = Ring(
    1 + TRADE_RING.pages, 2 * QUOTES_HELD_MAX // PAGE_ENTRIES, INCREMENT + 1, QUOTES_HELD_MAX
)


class Written(NamedTuple):
    """Which entries of a ring stand in the store, and up to where they need no writing again."""

    oldest: int = 0
    seen: int = 0
    clean_until: int = 0


NOTHING_WRITTEN = Written()


@dataclass(slots=True)
class InstrumentWindows:
    """The windows of one instrument, and what of its rings has been written down."""

    state: State
    trades_written: Written = NOTHING_WRITTEN
    quotes_written: Written = NOTHING_WRITTEN

    @property
    def trades_held(self) -> tuple[int, int]:
        """Return the counts of the oldest trade held and of the next to come."""
        return int(self.state.windows[-1, HEAD]), int(self.state.marks[TRADES_SEEN])

    @property
    def quotes_held(self) -> tuple[int, int]:
        """Return the counts of the oldest quote change held and of the next to come."""
        return int(self.state.flows[-1, FLOW_HEAD]), int(self.state.marks[FLOWS_SEEN])

    def make_room(self, trades: int, quotes: int) -> None:
        """Grow the rings so that so many more entries fit, up to their written limits."""
        oldest, seen = self.trades_held
        capacity = _capacity(seen - oldest + trades, TRADES_HELD_MAX)
        if capacity > self.state.squares.size:
            held = np.arange(oldest, seen)
            self.state = self.state._replace(
                trades=_grown(self.state.trades, held, capacity),
                squares=_grown(self.state.squares, held, capacity),
                suffixes=_grown(self.state.suffixes, held, capacity),
            )
        oldest, seen = self.quotes_held
        capacity = _capacity(seen - oldest + quotes, QUOTES_HELD_MAX)
        if capacity > self.state.quotes.shape[1]:
            held = np.arange(oldest, seen)
            self.state = self.state._replace(quotes=_grown(self.state.quotes, held, capacity))


class WindowsCodec:
    """Writes one header page, and pages of `PAGE_ENTRIES` trades or quote changes that came new.

    A ring's page holds the count of its first entry, then its rows as little-endian int64.
    """

    def new(self, key: str) -> InstrumentWindows:  # noqa: ARG002 (the protocol's)
        """Return the windows of an instrument that was never seen."""
        return InstrumentWindows(_empty_state(CAPACITY_MIN, CAPACITY_MIN))

    def dump(self, state: InstrumentWindows) -> Mapping[int, bytes | None]:
        """Return the header and the pages that changed since the last dump."""
        arrays = state.state
        pages: dict[int, bytes | None] = {HEADER_PAGE: _header(arrays)}
        rows = [*arrays.trades, arrays.squares.view(np.int64)]
        oldest, seen = state.trades_held
        pages |= _ring_pages(rows, state.trades_written, (oldest, seen), TRADE_RING)
        state.trades_written = Written(oldest, seen, seen)
        oldest, seen = state.quotes_held
        pages |= _ring_pages([*arrays.quotes], state.quotes_written, (oldest, seen), QUOTE_RING)
        state.quotes_written = Written(oldest, seen, seen)
        return pages

    def load(self, key: str, pages: Mapping[int, bytes]) -> InstrumentWindows:
        """Return the windows that these pages were dumped from.

        Raises:  InvariantError if a page is missing or none of this version.
        """
        header = pages.get(HEADER_PAGE, b"")
        if len(header) != HEADER_BYTES:
            raise InvariantError(
                f"windows of {key}: expected a header of {HEADER_BYTES} bytes, found "
                f"{len(header)}; the layout changed, so raise the table's version"
            )
        small = _read_header(header)
        windows = InstrumentWindows(small)
        oldest, seen = windows.trades_held
        trades = _read_ring(key, pages, (oldest, seen), TRADE_RING)
        windows.trades_written = Written(oldest, seen, oldest)
        oldest, seen = windows.quotes_held
        quotes = _read_ring(key, pages, (oldest, seen), QUOTE_RING)
        windows.quotes_written = Written(oldest, seen, oldest)
        windows.state = small._replace(
            trades=trades[:-1].copy(),
            squares=trades[-1].copy().view(np.float64),
            suffixes=np.zeros((len(WINDOWS_NS), trades.shape[1])),
            quotes=quotes,
        )
        rebuild_suffixes(windows.state)
        return windows


def _empty_state(trades: int, quotes: int) -> State:
    return State(
        marks=np.zeros(MARKS, np.int64),
        windows=np.zeros((len(WINDOWS_NS), WINDOW_MARKS), np.int64),
        flows=np.zeros((len(FLOW_WINDOWS_NS), FLOW_MARKS), np.int64),
        newer=np.zeros(len(WINDOWS_NS)),
        trades=np.zeros((AGGRESSOR + 1, trades), np.int64),
        squares=np.zeros(trades),
        suffixes=np.zeros((len(WINDOWS_NS), trades)),
        quotes=np.zeros((INCREMENT + 1, quotes), np.int64),
    )


def _capacity(entries: int, limit: int) -> int:
    """Return the power of two that holds so many entries; the limits are powers of two."""
    return max(CAPACITY_MIN, 1 << (min(entries, limit) - 1).bit_length())


def _grown(ring: npt.NDArray[N], held: IntArray, capacity: int) -> npt.NDArray[N]:
    grown = np.zeros((*ring.shape[:-1], capacity), ring.dtype)
    grown[..., held & (capacity - 1)] = ring[..., held & (ring.shape[-1] - 1)]
    return grown


def _header(state: State) -> bytes:
    ints = (state.marks, state.windows, state.flows)
    return b"".join(part.tobytes() for part in ints) + state.newer.tobytes()


def _read_header(header: bytes) -> State:
    ints = np.frombuffer(header, np.int64, HEADER_INTS)
    marks, windows, flows = np.split(ints, [MARKS, MARKS + len(WINDOWS_NS) * WINDOW_MARKS])
    newer: FloatArray = np.frombuffer(header, np.float64, offset=8 * HEADER_INTS)
    return _empty_state(CAPACITY_MIN, CAPACITY_MIN)._replace(
        marks=marks.copy(),
        windows=windows.reshape(len(WINDOWS_NS), WINDOW_MARKS).copy(),
        flows=flows.reshape(len(FLOW_WINDOWS_NS), FLOW_MARKS).copy(),
        newer=newer.copy(),
    )


def _ring_pages(
    rows: list[IntArray], written: Written, held: tuple[int, int], ring: Ring
) -> dict[int, bytes | None]:
    """Return the pages that came since the last dump, and None for those that left."""
    oldest, seen = held
    stored_until = -(-written.seen // PAGE_ENTRIES)
    left = range(written.oldest // PAGE_ENTRIES, min(oldest // PAGE_ENTRIES, stored_until))
    pages: dict[int, bytes | None] = {ring.first_page + page % ring.pages: None for page in left}
    mask = rows[0].size - 1
    new = max(written.clean_until, oldest)
    for page in range(new // PAGE_ENTRIES, -(-seen // PAGE_ENTRIES)):
        start = max(page * PAGE_ENTRIES, oldest)
        slots = np.arange(start, min((page + 1) * PAGE_ENTRIES, seen)) & mask
        entries = b"".join(row[slots].tobytes() for row in rows)
        pages[ring.first_page + page % ring.pages] = start.to_bytes(8, "little") + entries
    return pages


def _read_ring(key: str, pages: Mapping[int, bytes], held: tuple[int, int], ring: Ring) -> IntArray:
    oldest, seen = held
    entries = np.zeros((ring.rows, _capacity(seen - oldest, ring.entries_max)), np.int64)
    mask = entries.shape[1] - 1
    for page in range(oldest // PAGE_ENTRIES, -(-seen // PAGE_ENTRIES)):
        number = ring.first_page + page % ring.pages
        value = pages.get(number, b"")
        start, body = int.from_bytes(value[:8], "little"), value[8:]
        first, end = max(page * PAGE_ENTRIES, oldest), min((page + 1) * PAGE_ENTRIES, seen)
        if start > first or len(body) != 8 * ring.rows * (end - start):
            raise InvariantError(
                f"windows of {key}, page {number}: expected entries {first} to {end}, found "
                f"{len(body)} bytes from {start}; the store is incomplete"
            )
        stored = np.frombuffer(body, np.int64).reshape(ring.rows, -1)
        entries[:, np.arange(first, end) & mask] = stored[:, first - start :]
    return entries
