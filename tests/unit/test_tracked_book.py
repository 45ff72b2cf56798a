"""A book written down and read again: nothing that was forgotten comes back."""

import numpy as np

from agents.market.order_book import new_tops
from agents.venues.depth import Depth, DepthRule, Verdict
from agents.venues.tracked_book import Integrity, TrackedBook
from headrace.batch import IntArray
from schemas.instruments import instrument_of

INSTRUMENT = instrument_of("binance-spot:BTCUSDT")
RULE = DepthRule(lambda *_: Verdict.NEXT, snapshot_apart=True)
NO_LEVELS: IntArray = np.empty((3, 0), np.int64)


def take(book: TrackedBook, **fields: int) -> None:
    book.take(Depth(0, 0, RULE, **fields), INSTRUMENT, NO_LEVELS, (0, 0, 0), new_tops(1), 0)


def restarted(book: TrackedBook, pages: dict[int, bytes]) -> TrackedBook:
    """Return the book as read from a store that took every dump, deletions too."""
    for page, value in book.dump().items():
        if value is None:
            del pages[page]
        else:
            pages[page] = value
    after = TrackedBook()
    after.load(pages)
    return after


def test_changes_forgotten_after_a_restart_do_not_come_back_with_the_next() -> None:
    pages: dict[int, bytes] = {}
    book = TrackedBook()
    take(book, first_id=900, last_id=900)
    book = restarted(book, pages)
    book.begin_pass()
    book = restarted(book, pages)

    take(book, snapshot=True, last_id=7)

    assert book.integrity is Integrity.VALID
    assert book.last_id == 7
