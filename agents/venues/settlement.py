"""From what the frames say to rows: numbers read, books brought forward, sequences given."""

from dataclasses import dataclass

import numpy as np

from agents.market.order_book import (
    ASK_PRICES,
    ASK_SIZES,
    BID_PRICES,
    BID_SIZES,
    LEVELS_MAX,
    new_tops,
)
from agents.venues import outcome
from agents.venues.decimals import BAD, GOOD, Levels, StatusArray, levels, scaled
from agents.venues.depth import EVERY_BOOK, Depth
from agents.venues.ledger import Frames, Ledger
from agents.venues.numbering import Columns, give_sequences, shift_pass
from agents.venues.reading import Quotes, Reading, Text, Trades
from agents.venues.source_state import SourceState
from agents.venues.tracked_book import Integrity, TrackedBook
from headrace.batch import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class SourceRows:
    """What one source's frames of a batch became.  Shapes:  tops (books, TOP_WIDTH)."""

    trades: Columns
    quotes: Columns
    books: Columns
    tops: IntArray


def settle(reading: Reading, frames: Frames, ledger: Ledger) -> SourceRows:
    """Return the rows of all frames that are good, and bring the source's state forward."""
    state = reading.state
    trades = _trade_columns(reading.trades, state, ledger)
    quotes = _quote_columns(reading.quotes, state, ledger)
    taken = _Books(reading, ledger)
    books, derived, tops = taken.settle()
    trades["book_valid"] = taken.valid_at(trades["slot"], trades["position"])
    if len(derived["position"]):
        quotes = {name: np.concatenate([quotes[name], derived[name]]) for name in quotes}
        order = np.argsort(quotes["position"], kind="stable")
        quotes = {name: column[order] for name, column in quotes.items()}
    parts = (trades, quotes, books)
    for part in parts:
        shift_pass(part, frames)
    give_sequences(parts, frames, state, ledger)
    return SourceRows(trades, quotes, books, tops)


def _columns(positions: list[int], slots: list[int], ids: list[int], times: list[int]) -> Columns:
    return {
        "position": np.array(positions, np.int64),
        "slot": np.array(slots, np.int64),
        "id": np.array(ids, np.int64),
        "event_time_ns": np.array(times, np.int64),
    }


def _trade_columns(trades: Trades, state: SourceState, ledger: Ledger) -> Columns:
    columns = _columns(trades.positions, trades.slots, trades.ids, trades.event_times_ns)
    slots = columns["slot"]
    scales = np.stack([state.price_scales[slots], state.size_scales[slots]], axis=1)
    values = _numbers(trades.texts, scales, columns["position"], ledger)
    price, size = values[:, 0], values[:, 1]
    # A size of 0 comes first: venues send such artefacts with a price of 0 too.
    _kill(columns["position"], (size < 0) | ((price <= 0) & (size != 0)), ledger)
    columns |= {
        "price_ticks": price,
        "size_lots": size,
        "aggressor": np.array(trades.aggressors, np.int64),
    }
    alive = ledger.alive[columns["position"]]
    kept = alive & (size != 0)
    positions_kept = columns["position"][kept]
    without_size = columns["position"][alive & ~kept]
    if len(without_size):
        ledger.counts[outcome.ZERO_SIZE_TRADES] += len(without_size)
        for position in np.setdiff1d(without_size, positions_kept).tolist():
            ledger.outcomes[position] = outcome.TRADE_ZERO_SIZE
    return {name: column[kept] for name, column in columns.items()}


def _quote_columns(quotes: Quotes, state: SourceState, ledger: Ledger) -> Columns:
    columns = _columns(quotes.positions, quotes.slots, quotes.ids, quotes.event_times_ns)
    prices, sizes = state.price_scales[columns["slot"]], state.size_scales[columns["slot"]]
    scales = np.stack([prices, sizes, prices, sizes], axis=1)
    values = _numbers(quotes.texts, scales, columns["position"], ledger)
    impossible = np.any((values[:, 0::2] <= 0) | (values[:, 1::2] < 0), axis=1)
    _kill(columns["position"], impossible, ledger)
    columns |= {
        "bid_price_ticks": values[:, 0],
        "bid_size_lots": values[:, 1],
        "ask_price_ticks": values[:, 2],
        "ask_size_lots": values[:, 3],
    }
    alive = ledger.alive[columns["position"]]
    return {name: column[alive] for name, column in columns.items()}


def _numbers(texts: list[Text], scales: IntArray, positions: IntArray, ledger: Ledger) -> IntArray:
    """Return a row of numbers a record, killing the frames of those that cannot be read."""
    width = scales.shape[1]
    values, statuses = scaled(texts, scales.reshape(-1))
    if statuses.any():
        for index in np.flatnonzero(statuses).tolist():
            text = bytes(texts[index])[:40].decode(errors="replace")
            cause, detail = _number_fault(int(statuses[index]), text)
            ledger.kill(int(positions[index // width]), cause, detail)
    return values.reshape(-1, width)


def _number_fault(status: int, text: str) -> tuple[str, str]:
    if status == BAD:
        return outcome.BAD_DECIMAL, f"number {text}: expected a decimal that fits the scale exactly"
    return outcome.MALFORMED, "expected prices and sizes, found a frame that lacks some"


def _kill(positions: IntArray, impossible: BoolArray, ledger: Ledger) -> None:
    for position in positions[impossible].tolist():
        ledger.kill(position, outcome.MALFORMED, "expected prices above 0, and sizes of 0 or more")


class _Books:
    """Takes the depths of a reading, in order, into the source's books."""

    def __init__(self, reading: Reading, ledger: Ledger) -> None:
        self._state = reading.state
        self._depths = reading.depths
        self._ledger = ledger
        self._tops = new_tops(len(reading.depths))
        self._levels = self._read_levels(reading)
        self._rows: list[int] = []
        self._integrity: list[int] = []
        self._ids: list[int] = []
        self._quote_rows: list[int] = []
        self._quote_ids: list[int] = []
        self._quotes: list[tuple[int, int, int, int]] = []
        self._valid_before = {slot: not book.has_gap for slot, book in reading.state.books.items()}
        self._turns: dict[int, list[int]] = {}
        """By book, the positions from which on it has a gap, or none again, in turn."""

    def settle(self) -> tuple[Columns, Columns, IntArray]:
        """Return the columns of books, of quotes that stand at their tops, and the tops."""
        stale: list[int] = []
        taken: set[int] = set()
        ends = [0, *self._levels.ends.tolist()]
        for row, depth in enumerate(self._depths):
            bounds = ends[2 * row], ends[2 * row + 1], ends[2 * row + 2]
            if depth.slot == EVERY_BOOK and depth.snapshot:
                for slot, book in self._state.books.items():
                    book.begin_pass()
                    self._note_turn(slot, book, depth.position)
            elif depth.rule is None or not self._ledger.alive[depth.position]:
                self._lose(depth.slot, depth.position)
            elif self._take(row, depth, bounds):
                taken.add(depth.position)
            else:
                stale.append(depth.position)
        for position in stale:
            if position not in taken:
                self._ledger.outcomes[position] = outcome.DEPTH_STALE
        books = self._of_rows(self._rows, self._ids)
        books["integrity"] = np.array(self._integrity, np.int64)
        quotes = self._of_rows(self._quote_rows, self._quote_ids)
        values = np.array(self._quotes, np.int64).reshape(-1, 4)
        names = ("bid_price_ticks", "bid_size_lots", "ask_price_ticks", "ask_size_lots")
        quotes |= {name: values[:, index] for index, name in enumerate(names)}
        return books, quotes, self._tops[self._rows]

    def valid_at(self, slots: IntArray, positions: IntArray) -> IntArray:
        """Say of each trade whether its instrument's book had no gap: 1 or 0."""
        valid = np.ones(len(slots), np.int64)
        for slot in {*self._turns, *(s for s, good in self._valid_before.items() if not good)}:
            rows = np.flatnonzero(slots == slot)
            turns = np.searchsorted(self._turns.get(slot, []), positions[rows], side="right")
            valid[rows] = (turns + self._valid_before.get(slot, True)) % 2
        return valid

    def _read_levels(self, reading: Reading) -> Levels:
        slots = np.array([depth.slot for depth in reading.depths], np.int64).repeat(2)
        price_scales, size_scales = self._state.price_scales[slots], self._state.size_scales[slots]
        found = levels(reading.arrays, price_scales, size_scales)
        faulty = (found.statuses != GOOD) | found.impossible
        for index in np.flatnonzero(faulty).tolist():
            text = bytes(reading.arrays[index])[:40].decode(errors="replace")
            self._ledger.kill(
                reading.depths[index // 2].position,
                *_levels_fault(found.statuses, index, text),
            )
        left_out = int(found.beyond.sum())
        if left_out:
            self._ledger.counts[outcome.LEVELS_DROPPED] += left_out
        return found

    def _take(self, row: int, depth: Depth, bounds: tuple[int, int, int]) -> bool:
        slot = depth.slot
        book = self._state.book(slot)
        was_valid, dropped = book.integrity is Integrity.VALID, book.book.dropped
        instrument = self._state.instruments[slot]
        if not book.take(depth, instrument, self._levels.updates, bounds, self._tops, row):
            return False
        self._note_turn(slot, book, depth.position)
        integrity = book.integrity
        valid = integrity is Integrity.VALID
        self._rows.append(row)
        self._integrity.append(integrity)
        self._ids.append(book.last_id if valid else depth.last_id)
        if book.book.dropped != dropped and depth.levels_max == LEVELS_MAX:
            self._ledger.counts[outcome.LEVELS_DROPPED] += book.book.dropped - dropped
        if not valid:
            self._tops[row] = 0
            self._ledger.counts[outcome.BOOKS_GAPPED] += was_valid
        elif depth.rule is not None and depth.rule.gives_quotes:
            self._quote(row, depth, book)
        return True

    def _quote(self, row: int, depth: Depth, book: TrackedBook) -> None:
        if not book.book.bid_levels or not book.book.ask_levels:
            return
        top = self._tops[row]
        best = (
            int(top[BID_PRICES]), int(top[BID_SIZES]), int(top[ASK_PRICES]), int(top[ASK_SIZES])
        )  # fmt: skip
        if best != book.quoted or depth.snapshot:
            book.quoted = best
            self._quote_rows.append(row)
            self._quote_ids.append(book.last_id)
            self._quotes.append(best)

    def _lose(self, slot: int, position: int) -> None:
        books = self._state.books
        lost = books if slot == EVERY_BOOK else {slot: self._state.book(slot)}
        for one, book in lost.items():
            self._ledger.counts[outcome.BOOKS_GAPPED] += book.lose()
            self._note_turn(one, book, position)

    def _note_turn(self, slot: int, book: TrackedBook, position: int) -> None:
        turns = self._turns.get(slot, ())
        was_valid = self._valid_before.get(slot, True) != (len(turns) % 2 == 1)
        if book.has_gap == was_valid:
            self._turns.setdefault(slot, []).append(position)

    def _of_rows(self, rows: list[int], ids: list[int]) -> Columns:
        depths = [self._depths[row] for row in rows]
        return _columns(
            [depth.position for depth in depths],
            [depth.slot for depth in depths],
            ids,
            [depth.event_time_ns for depth in depths],
        )


def _levels_fault(statuses: StatusArray, index: int, text: str) -> tuple[str, str]:
    if statuses[index] == BAD:
        return outcome.BAD_DECIMAL, f"levels {text}…: expected decimals that fit the scale exactly"
    return outcome.MALFORMED, f"levels {text}…: expected [[price above 0, size], …]"
