"""A book that follows a venue through losses, repeats, late snapshots and restarts."""

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.market.order_book import LEVELS_MAX, new_tops
from agents.venues.depth import Depth, DepthRule, Verdict
from agents.venues.tracked_book import Integrity, TrackedBook
from schemas.instruments import instrument_of
from tests.examples import examples

INSTRUMENT = instrument_of("binance-spot:BTCUSDT")
BIDS = st.dictionaries(st.integers(1, 50), st.integers(0, 3), max_size=3)
ASKS = st.dictionaries(st.integers(51, 100), st.integers(0, 3), max_size=3)
MOSTLY = st.sampled_from([True, True, True, True, False])
Levels = dict[int, int]
Change = tuple[int, int, Levels, Levels]
"""First and last id, bids and asks that changed; size 0 deletes."""


def judge(last_id: int, fresh: bool, change: Depth) -> Verdict:  # noqa: ARG001 (a judge)
    """Ids count every change of the venue's book: what begins at or before the next one fits."""
    if change.last_id <= last_id:
        return Verdict.STALE
    return Verdict.NEXT if change.first_id <= last_id + 1 else Verdict.GAP


RULE = DepthRule(judge, snapshot_apart=True)


class BookMachine(RuleBasedStateMachine):
    """A venue whose stream loses and repeats messages, and whose snapshots come when they like.

    The model is the venue: two dictionaries, and what they were at every id. Whatever was lost, a
    book that says it is VALID equals the venue's at the id it names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.book = TrackedBook()
        self.pages: dict[int, bytes] = {}
        self.start()

    def start(self, first_id: int = 0) -> None:
        self.id = first_id
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.history: dict[int, tuple[Levels, Levels]] = {first_id: ({}, {})}
        self.sent: list[Change] = []
        self.waiting: list[Change] = []

    @initialize(first_id=st.integers(0, 1_000))
    def open(self, first_id: int) -> None:
        self.start(first_id)

    def take(self, bids: Levels, asks: Levels, **fields: Any) -> bool:
        """Hand a depth to the book under test."""
        rows = [(price, size, 0) for price, size in [*bids.items(), *asks.items()]]
        updates = np.ascontiguousarray(np.array(rows, np.int64).reshape(-1, 3).T)
        depth = Depth(0, 0, RULE, levels_max=LEVELS_MAX, **fields)
        bounds = (0, len(bids), len(rows))
        return self.book.take(depth, INSTRUMENT, updates, bounds, new_tops(1), 0)

    @rule(bids=BIDS, asks=ASKS, count=st.integers(1, 3), arrives=MOSTLY)
    def change(self, bids: Levels, asks: Levels, count: int, arrives: bool) -> None:
        """Change the venue's book; the message covers some ids, and may be lost."""
        first = self.id + 1
        self.id += count
        self.bids = {price: size for price, size in (self.bids | bids).items() if size}
        self.asks = {price: size for price, size in (self.asks | asks).items() if size}
        self.history[self.id] = (self.bids, self.asks)
        message = (first, self.id, bids, asks)
        self.sent.append(message)
        if arrives:
            was_valid = self.book.integrity is Integrity.VALID
            follows = was_valid and self.book.last_id == first - 1
            self.deliver(message)
            assert (self.book.integrity is Integrity.VALID) == (was_valid and follows)

    def deliver(self, message: Change) -> None:
        first, last, bids, asks = message
        if self.book.integrity is not Integrity.VALID or first > self.book.last_id + 1:
            self.waiting.append(message)
        self.take(bids, asks, first_id=first, last_id=last)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Deliver a message of the past once more, whether it ever arrived or not."""
        was_valid = self.book.integrity is Integrity.VALID
        last_id = self.book.last_id
        message = data.draw(st.sampled_from(self.sent[-8:]))
        self.deliver(message)
        if was_valid and message[1] <= last_id:
            assert self.book.integrity is Integrity.VALID
            assert self.book.last_id == last_id

    @rule(age=st.integers(0, 4))
    def snapshot(self, age: int) -> None:
        """Deliver a snapshot, of now or of a few messages ago."""
        last = sorted(self.history)[-1 - min(age, len(self.history) - 1)]
        bids, asks = self.history[last]
        if self.book.integrity is Integrity.VALID and last < self.book.last_id:
            assert not self.take(bids, asks, snapshot=True, last_id=last)
            return

        self.take(bids, asks, snapshot=True, last_id=last)

        while self.waiting and self.waiting[0][0] <= last + 1:
            last = max(last, self.waiting.pop(0)[1])
        assert self.book.last_id == last
        assert (self.book.integrity is Integrity.VALID) == (not self.waiting)

    @rule()
    def lose(self) -> None:
        """Lose the thread, as after a frame that can't be read."""
        self.book.lose()

    @rule(first_id=st.integers(0, 1_000))
    def reconnect(self, first_id: int) -> None:
        """Begin a new session, whose ids have nothing to do with the last one's."""
        self.book.begin_pass()
        self.start(first_id)
        assert self.book.integrity is not Integrity.VALID

    @rule()
    def restart(self) -> None:
        """Stop, and go on from what was written down."""
        for page, value in self.book.dump().items():
            if value is None:
                del self.pages[page]
            else:
                self.pages[page] = value
        self.book = TrackedBook()
        self.book.load(self.pages)

    @invariant()
    def valid_book_is_the_venues(self) -> None:
        if self.book.integrity is not Integrity.VALID:
            return
        bids, asks = self.history[self.book.last_id]
        found_bids, found_asks = self.book.book.best(LEVELS_MAX)
        assert dict(zip(*found_bids[:2], strict=True)) == bids
        assert dict(zip(*found_asks[:2], strict=True)) == asks
        assert found_bids[0] == sorted(bids, reverse=True)
        assert found_asks[0] == sorted(asks)


BookMachine.TestCase.settings = settings(
    max_examples=examples(300), stateful_step_count=40, deadline=None
)
test_a_valid_book_equals_the_venues_whatever_was_lost = BookMachine.TestCase
