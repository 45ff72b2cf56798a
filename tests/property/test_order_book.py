"""The order book against the plainest one there is: a dictionary."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.market.order_book import LEVELS_MAX, OrderBook, new_tops
from tests.examples import examples

PRICES = st.integers(1, 60)
LEVELS = st.lists(st.tuples(PRICES, st.integers(0, 3)), max_size=25)
MESSAGES = st.lists(st.tuples(LEVELS, LEVELS, st.booleans()), max_size=25)


class Plain:
    """Two dictionaries, sorted when looked at."""

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def apply(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]], limit: int) -> None:
        for held, changes in ((self.bids, bids), (self.asks, asks)):
            for price, size in changes:
                held[price] = size
                if not size:
                    del held[price]
        self.bids = dict(sorted(self.bids.items(), reverse=True)[:limit])
        self.asks = dict(sorted(self.asks.items())[:limit])


@settings(max_examples=examples(150), deadline=None)
@given(messages=MESSAGES, limit=st.sampled_from([1, 3, 10, LEVELS_MAX]))
def test_book_equals_a_dictionary_after_every_message(
    messages: list[tuple[list[tuple[int, int]], list[tuple[int, int]], bool]], limit: int
) -> None:
    book, plain = OrderBook(), Plain()
    for bids, asks, whole in messages:
        rows = [(price, size, price) for price, size in bids + asks]
        updates = np.ascontiguousarray(np.array(rows, np.int64).reshape(-1, 3).T)
        bounds = (0, len(bids), len(rows))
        if whole:
            plain = Plain()
        (book.replace if whole else book.apply)(updates, bounds, limit, new_tops(1), 0)
        plain.apply(bids, asks, limit)

        found_bids, found_asks = book.best(LEVELS_MAX)

        assert found_bids == [list(plain.bids), list(plain.bids.values()), list(plain.bids)]
        assert found_asks == [list(plain.asks), list(plain.asks.values()), list(plain.asks)]
        assert (book.bid_levels, book.ask_levels) == (len(plain.bids), len(plain.asks))


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32), rounds=st.integers(1, 30))
def test_large_books_keep_their_order_through_growth_and_drops(seed: int, rounds: int) -> None:
    """Hundreds of levels with a moving middle: arrays grow, windows slide, both ends move."""
    random = np.random.default_rng(seed)
    book, plain = OrderBook(), Plain()
    for turn in range(rounds):
        middle = 1_000 + 40 * turn
        bids = [(int(p), int(s)) for p, s in zip(*_levels(random, middle, -1), strict=True)]
        asks = [(int(p), int(s)) for p, s in zip(*_levels(random, middle, 1), strict=True)]
        rows = [(price, size, 0) for price, size in bids + asks]
        updates = np.ascontiguousarray(np.array(rows, np.int64).T)

        book.apply(updates, (0, len(bids), len(rows)), 300, new_tops(1), 0)
        plain.apply(bids, asks, 300)

        assert book.best(LEVELS_MAX)[0][:2] == [list(plain.bids), list(plain.bids.values())]
        assert book.best(LEVELS_MAX)[1][:2] == [list(plain.asks), list(plain.asks.values())]


@settings(max_examples=examples(50), deadline=None)
@given(before=LEVELS, after=LEVELS)
def test_restored_book_goes_on_as_the_one_it_came_from(
    before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    book, restored = OrderBook(), OrderBook()
    for held, changes in ((book, before), (book, after), (restored, after)):
        if held is restored:
            book_before = OrderBook()
            _apply(book_before, before)
            restored.restore(*book_before.sides())
        _apply(held, changes)

    assert restored.best(LEVELS_MAX) == book.best(LEVELS_MAX)


def _apply(book: OrderBook, levels: list[tuple[int, int]]) -> None:
    rows = np.array([(price, size, 0) for price, size in levels], np.int64).reshape(-1, 3)
    half = len(rows) // 2
    book.apply(np.ascontiguousarray(rows.T), (0, half, len(rows)), LEVELS_MAX, new_tops(1), 0)


def _levels(random: np.random.Generator, middle: int, sign: int) -> tuple[np.ndarray, np.ndarray]:
    count = int(random.integers(1, 120))
    return middle + sign * random.integers(0, 500, count), random.integers(0, 4, count)
