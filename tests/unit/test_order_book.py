"""The order book's arrays: order, deletion, limits, tops."""

import numpy as np

from agents.market.order_book import (
    ASK_LEVELS,
    ASK_PRICES,
    BID_LEVELS,
    BID_PRICES,
    BID_SIZES,
    BIDS_LISTED,
    LEVELS_MAX,
    TOP_LEVELS,
    OrderBook,
    new_tops,
)
from headrace.batch import IntArray

Level = tuple[int, int]


def updates_of(bids: list[Level], asks: list[Level]) -> tuple[IntArray, tuple[int, int, int]]:
    levels = np.array([(price, size, 0) for price, size in bids + asks], np.int64).reshape(-1, 3)
    return np.ascontiguousarray(levels.T), (0, len(bids), len(bids) + len(asks))


def book_of(bids: list[Level], asks: list[Level]) -> OrderBook:
    book = OrderBook()
    book.apply(*updates_of(bids, asks), LEVELS_MAX, new_tops(1), 0)
    return book


def test_best_levels_come_first_on_both_sides() -> None:
    book = book_of([(99, 1), (100, 2), (98, 3)], [(103, 4), (101, 5), (102, 6)])

    bids, asks = book.best(2)

    assert bids[:2] == [[100, 99], [2, 1]]
    assert asks[:2] == [[101, 102], [5, 6]]


def test_size_0_deletes_a_level_and_deleting_what_is_not_there_does_nothing() -> None:
    book = book_of([(99, 1), (100, 2)], [])

    book.apply(*updates_of([(100, 0), (50, 0)], [(7, 0)]), LEVELS_MAX, new_tops(1), 0)

    assert book.best(5)[0][:2] == [[99], [1]]
    assert book.ask_levels == 0


def test_last_update_of_a_price_within_a_message_wins() -> None:
    book = book_of([(99, 1), (99, 0), (99, 7)], [])

    assert book.best(5)[0][:2] == [[99], [7]]


def test_farthest_levels_are_dropped_and_counted_after_the_whole_message() -> None:
    book = OrderBook()

    bids = [(price, 1) for price in (10, 12, 11, 13)]
    asks = [(price, 1) for price in (20, 22, 21, 23)]
    book.apply(*updates_of(bids, asks), 3, new_tops(1), 0)

    assert book.best(5)[0][0] == [13, 12, 11]
    assert book.best(5)[1][0] == [20, 21, 22]
    assert book.dropped == 2


def test_top_lists_ten_levels_and_counts_all() -> None:
    tops = new_tops(2)
    book = OrderBook()

    bids = [(price, price * 2) for price in range(1, 16)]
    book.apply(*updates_of(bids, [(100, 1)]), LEVELS_MAX, tops, 1)

    assert not tops[0].any()
    assert tops[1, BIDS_LISTED] == TOP_LEVELS
    assert tops[1, BID_LEVELS] == 15
    assert tops[1, ASK_LEVELS] == 1
    assert tops[1, BID_PRICES : BID_PRICES + TOP_LEVELS].tolist() == list(range(15, 5, -1))
    assert tops[1, BID_SIZES] == 30
    assert tops[1, ASK_PRICES] == 100


def test_book_is_crossed_when_a_bid_is_above_an_ask_and_not_when_they_meet() -> None:
    assert not book_of([(100, 1)], [(100, 1)]).crossed
    assert book_of([(101, 1)], [(100, 1)]).crossed
    assert not book_of([(101, 1)], []).crossed


def test_replace_forgets_what_was_there_and_takes_levels_in_any_order() -> None:
    book = book_of([(1, 1), (2, 1)], [(9, 1)])

    book.replace(
        *updates_of([(5, 1), (7, 2), (6, 0)], [(10, 3), (8, 4)]), LEVELS_MAX, new_tops(1), 0
    )

    assert book.best(5)[0][:2] == [[7, 5], [2, 1]]
    assert book.best(5)[1][:2] == [[8, 10], [4, 3]]


def test_snapshot_deeper_than_the_limit_keeps_the_best_levels() -> None:
    book = OrderBook()

    bids = [(price, 1) for price in range(1, 3 * LEVELS_MAX + 1)]
    book.replace(*updates_of(bids, []), LEVELS_MAX, new_tops(1), 0)

    assert book.bid_levels == LEVELS_MAX
    assert book.best(1)[0][0] == [3 * LEVELS_MAX]
    assert book.dropped == 2 * LEVELS_MAX
