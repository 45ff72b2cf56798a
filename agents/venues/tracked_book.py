"""A book that knows whether it can be trusted, and takes only what follows from what it holds."""

from collections import deque
from collections.abc import Mapping
from enum import IntEnum

import msgspec
import numpy as np

from agents.market.order_book import ROWS, OrderBook
from agents.venues.depth import Depth, DepthRule, Verdict
from agents.venues.timestamps import ABSENT
from headrace.batch import IntArray
from schemas.instruments import Instrument

HELD_CHANGES_MAX = 1_024
"""Changes held for a snapshot: 20 s of the fastest stream, far longer than REST takes."""

HELD_LEVELS_MAX = 65_536
"""Levels in them, 1.5 MiB; beyond either limit the oldest go: the snapshot has to be newer."""

CHUNK_LEVELS = 256
"""Levels in a page, counted from the deep end: changes near the top rewrite the last pages only."""

CHUNK_HELD = 64
"""Held changes in a page."""

HEADER_PAGE = 0
BIDS_PAGE = 1
ASKS_PAGE = 22
HELD_PAGE = 43
BOOK_PAGES = 64
"""Pages of a book: its header, 20 of 256 levels a side, the rest for what is held."""
_HELD_PAGES = HELD_CHANGES_MAX // CHUNK_HELD + 1


class Integrity(IntEnum):
    """Whether a book can be acted on; names as in `book.v1.avsc`."""

    VALID = 0
    AWAITING_SNAPSHOT = 1
    GAPPED = 2
    CHECKSUM_FAILED = 3
    CROSSED = 4


Bounds = tuple[int, int, int]
"""Of one depth's levels among all: first bid, first ask, end."""


class _Held(msgspec.Struct, array_like=True):
    """A change that waits for its snapshot."""

    first_id: int
    last_id: int
    previous_id: int
    bids: int
    levels: bytes


class _Header(msgspec.Struct, array_like=True):
    integrity: int
    last_id: int
    fresh: bool
    dropped: int
    bid_levels: int
    ask_levels: int
    held_first: int
    held_count: int
    quoted: tuple[int, int, int, int] | None


class TrackedBook:
    """An order book, its integrity, and the changes that wait for its snapshot.

    `last_id` is the venue's id of the last change in the book, `fresh` that it is a snapshot's.
    `quoted` is the best bid and ask last told (prices and sizes).
    """

    __slots__ = (
        "_dirty", "_held", "_held_first", "_held_levels", "_written",
        "book", "fresh", "integrity", "last_id", "quoted",
    )  # fmt: skip

    def __init__(self) -> None:
        self.book = OrderBook()
        self.integrity = Integrity.AWAITING_SNAPSHOT
        self.last_id = ABSENT
        self.fresh = False
        self.quoted: tuple[int, int, int, int] | None = None
        self._held: deque[_Held] = deque()
        self._held_first = 0
        self._held_levels = 0
        self._written: dict[int, bytes] = {}
        self._dirty = True

    @property
    def has_gap(self) -> bool:
        """Say whether something of the book was lost; one still without a snapshot lost nothing."""
        integrity = self.integrity
        return integrity is not Integrity.VALID and integrity is not Integrity.AWAITING_SNAPSHOT

    def lose(self) -> bool:
        """Trust the book no longer until its next snapshot; return whether it was trusted."""
        self._dirty = True
        was_valid = self.integrity is Integrity.VALID
        if was_valid:
            self.integrity = Integrity.GAPPED
        return was_valid

    def begin_pass(self) -> None:
        """Trust nothing from the pass before: its ids have nothing to do with this one's."""
        self._dirty = True
        if self.integrity is not Integrity.AWAITING_SNAPSHOT:
            self.integrity = Integrity.GAPPED
        self._forget_held(len(self._held))

    def take(  # noqa: PLR0917 (called once a depth: keywords would cost as much as the call)
        self,
        depth: Depth,
        instrument: Instrument,
        updates: IntArray,
        bounds: Bounds,
        tops: IntArray,
        row: int,
    ) -> bool:
        """Take a depth and write the top into `tops[row]`; return False if the depth is stale."""
        rule = depth.rule
        if rule is None:
            self.lose()
            return True
        self._dirty = True
        valid = self.integrity is Integrity.VALID
        if depth.snapshot:
            if valid and rule.snapshot_apart and depth.last_id < self.last_id:
                return False
            self.book.replace(updates, bounds, depth.levels_max, tops, row)
            self.integrity = Integrity.VALID
            self.last_id, self.fresh = depth.last_id, True
            self._check(depth, rule, instrument)
            self._replay(rule, depth, instrument, tops, row)
            return True
        verdict = rule.judge(self.last_id, self.fresh, depth) if valid else Verdict.GAP
        if verdict is Verdict.STALE:
            return False
        if verdict is Verdict.GAP:
            self.lose()
            if rule.snapshot_apart:
                self._hold(depth, updates, bounds)
            return True
        self.book.apply(updates, bounds, depth.levels_max, tops, row)
        self.last_id, self.fresh = depth.last_id, False
        self._check(depth, rule, instrument)
        return True

    def _check(self, depth: Depth, rule: DepthRule, instrument: Instrument) -> None:
        if self.book.crossed:
            self.integrity = Integrity.CROSSED
        elif rule.checksum is not None and depth.checksum != ABSENT:
            sides = self.book.best(rule.checksum_levels)
            scales = instrument.price_scale, instrument.size_scale
            if rule.checksum(*sides, *scales) != depth.checksum:
                self.integrity = Integrity.CHECKSUM_FAILED

    def _hold(self, depth: Depth, updates: IntArray, bounds: Bounds) -> None:
        first, middle, end = bounds
        self._held.append(
            _Held(
                depth.first_id,
                depth.last_id,
                depth.previous_id,
                middle - first,
                updates[:, first:end].tobytes(),
            )
        )
        self._held_levels += end - first
        while len(self._held) > HELD_CHANGES_MAX or self._held_levels > HELD_LEVELS_MAX:
            self._forget_held(1)

    def _forget_held(self, count: int) -> None:
        for _ in range(count):
            self._held_levels -= len(self._held.popleft().levels) // (8 * ROWS)
        self._held_first += count

    def _replay(
        self, rule: DepthRule, snapshot: Depth, instrument: Instrument, tops: IntArray, row: int
    ) -> None:
        """Bring a snapshot up to date with the changes held; those after a gap stay held."""
        while self._held and self.integrity is Integrity.VALID:
            held = self._held[0]
            change = msgspec.structs.replace(
                snapshot,
                snapshot=False,
                checksum=ABSENT,
                first_id=held.first_id,
                last_id=held.last_id,
                previous_id=held.previous_id,
            )
            verdict = rule.judge(self.last_id, self.fresh, change)
            if verdict is Verdict.GAP:
                self.integrity = Integrity.GAPPED
                return
            self._forget_held(1)
            if verdict is Verdict.NEXT:
                updates = np.frombuffer(held.levels, np.int64).reshape(ROWS, -1)
                bounds = (0, held.bids, updates.shape[1])
                self.book.apply(updates, bounds, change.levels_max, tops, row)
                self.last_id, self.fresh = change.last_id, False
                self._check(change, rule, instrument)

    def dump(self) -> dict[int, bytes | None]:
        """Return the pages that changed since the last dump; None deletes one."""
        if not self._dirty:
            return {}
        pages: dict[int, bytes] = {}
        bids, asks = self.book.sides()
        for first, side in ((BIDS_PAGE, bids), (ASKS_PAGE, asks)):
            for chunk in range(0, side.shape[1], CHUNK_LEVELS):
                levels = side[:, chunk : chunk + CHUNK_LEVELS]
                pages[first + chunk // CHUNK_LEVELS] = levels.tobytes()
        for chunk, held in self._held_chunks().items():
            pages[HELD_PAGE + chunk] = msgspec.msgpack.encode(held)
        pages[HEADER_PAGE] = msgspec.msgpack.encode(
            _Header(
                self.integrity,
                self.last_id,
                self.fresh,
                self.book.dropped,
                bids.shape[1],
                asks.shape[1],
                self._held_first,
                len(self._held),
                self.quoted,
            )
        )
        changed: dict[int, bytes | None] = {
            page: value for page, value in pages.items() if self._written.get(page) != value
        }
        changed |= dict.fromkeys(self._written.keys() - pages.keys())
        self._written = pages
        self._dirty = False
        return changed

    def load(self, pages: Mapping[int, bytes]) -> None:
        """Take the pages a book was dumped to; this one is new."""
        header = msgspec.msgpack.decode(pages[HEADER_PAGE], type=_Header)
        self.integrity = Integrity(header.integrity)
        self.last_id, self.fresh, self.quoted = header.last_id, header.fresh, header.quoted
        self.book.restore(
            _joined(pages, BIDS_PAGE, header.bid_levels),
            _joined(pages, ASKS_PAGE, header.ask_levels),
        )
        self.book.dropped = header.dropped
        self._held_first = header.held_first
        first_chunk = header.held_first // CHUNK_HELD
        chunks = range(first_chunk, first_chunk + _HELD_PAGES)
        for chunk in chunks:
            page = pages.get(HELD_PAGE + chunk % _HELD_PAGES)
            if page is not None:
                self._held.extend(msgspec.msgpack.decode(page, type=list[_Held]))
        self._held_levels = sum(len(held.levels) // (8 * ROWS) for held in self._held)
        # So that the next dump deletes what is forgotten until then, and writes what changed.
        self._written = dict(pages)
        self._dirty = False

    def _held_chunks(self) -> dict[int, list[_Held]]:
        chunks: dict[int, list[_Held]] = {}
        for index, held in enumerate(self._held, start=self._held_first):
            chunks.setdefault(index // CHUNK_HELD % _HELD_PAGES, []).append(held)
        return chunks


def _joined(pages: Mapping[int, bytes], first: int, levels: int) -> IntArray:
    chunks = -(-levels // CHUNK_LEVELS)
    parts = [
        np.frombuffer(pages[first + chunk], np.int64).reshape(ROWS, -1) for chunk in range(chunks)
    ]
    return np.concatenate(parts, axis=1) if parts else np.empty((ROWS, 0), np.int64)
