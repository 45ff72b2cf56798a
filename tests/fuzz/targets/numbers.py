"""Numbers, times and levels as text, against Python's own decimals."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, getcontext

import numpy as np

from agents.market.order_book import LEVELS_MAX, OrderBook, new_tops
from agents.venues.decimals import BAD, GOOD, MISSING, VALUE_LIMIT, levels, scaled
from agents.venues.outcome import FrameError
from agents.venues.timestamps import ABSENT, TIME_NS_MAX, epoch_ns, iso_ns, seconds_ns
from tests.fuzz.mutation import (
    BYTE_TOKEN,
    JSON_TOKEN,
    ODD_BYTES,
    ODD_JSON,
    ODD_NUMBERS,
    TEXT_TOKEN,
    Mutator,
)
from tests.fuzz.target import Target, require

SCALE = 8
_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
EXACT_BYTES_MAX = 60
getcontext().prec = 500


def _scalars(records: Sequence[bytes]) -> None:
    scales = np.full(len(records), SCALE, np.int64)
    values, statuses = scaled(records, scales)
    for text, value, status in zip(records, values.tolist(), statuses.tolist(), strict=True):
        require(status in (GOOD, MISSING, BAD), f"status {status}")
        require((status == MISSING) == (not text), "missing is what is not there")
        if len(text) <= EXACT_BYTES_MAX:
            expected = exact(text)
            found = value if status == GOOD else None
            require(found == expected, f"{text!r}: {found}, not {expected}")


def exact(text: bytes) -> int | None:
    """Return the number a JSON text holds times 10**SCALE, None if there is no such integer."""
    quoted = text[:1] == b'"'
    inner = text[1:-1] if quoted and len(text) > 1 and text[-1:] == b'"' else text
    if not _NUMBER.fullmatch(inner):
        return None
    digits, _, exponent = inner.lower().partition(b"e")
    if not digits.strip(b"-0."):
        return 0
    # Beyond, no number of these lengths is an integer of the scale.
    number = Decimal(digits.decode()).scaleb(SCALE + max(-200, min(200, int(exponent or b"0"))))
    if abs(number) >= VALUE_LIMIT or number != number.to_integral_value():
        return None
    return int(number)


def _levels(records: Sequence[bytes]) -> None:
    arrays = [array for record in records for array in record.partition(b"|")[::2]]
    scales = np.full(len(arrays), SCALE, np.int64)
    found = levels(arrays, scales, scales)
    ends = found.ends.tolist()
    require(ends == sorted(ends), "ends run backwards")
    require(not ends or ends[-1] <= found.updates.shape[1], "more levels than places")
    used = found.updates[:, : ends[-1] if ends else 0]
    require((np.abs(used[:2]) < VALUE_LIMIT).all(), "a value beyond the limit")
    for index, status in enumerate(found.statuses.tolist()):
        first = ends[index - 1] if index else 0
        prices, sizes = found.updates[:2, first : ends[index]]
        below = bool((prices <= 0).any() or (sizes < 0).any())
        require(status == GOOD or ends[index] == first, "levels of a bad array")
        require(status != GOOD or below == bool(found.impossible[index]), "impossible, untold")


def _times(records: Sequence[bytes]) -> None:
    for record in records:
        text = record.decode("utf-8", "replace")
        for read in (iso_ns, seconds_ns, _count):
            try:
                time_ns = read(text)
            except FrameError as error:
                require(len(str(error)) < 500, "an error without a limit")
                continue
            require(ABSENT <= time_ns <= TIME_NS_MAX, f"{read.__name__}({text!r}): {time_ns}")
        _check_calendar(text)


def _count(text: str) -> int:
    return epoch_ns(int(text)) if len(text) < 20 and text.isascii() and text.isdigit() else ABSENT


def _check_calendar(text: str) -> None:
    """Whole seconds are what the calendar says."""
    if len(text) == 20 and text.endswith("Z"):
        try:
            expected = datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return
        if 0 <= expected < TIME_NS_MAX // 10**9 and expected == int(expected):
            require(iso_ns(text) == int(expected) * 10**9, f"{text}: not the calendar's")


class Books:
    """One order book beside two dictionaries, message after message."""

    _LEVEL = np.dtype([("price", "<i8"), ("size", "<u1"), ("kind", "<u1")])

    def __init__(self) -> None:
        self._book = OrderBook()
        self._sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def __call__(self, records: Sequence[bytes]) -> None:
        """Apply each message to both, then compare."""
        for record in records:
            self._apply(record)
        bids, asks = self._book.best(LEVELS_MAX)
        require(bids[0] == sorted(self._sides[0], reverse=True), "bids differ")
        require(asks[0] == sorted(self._sides[1]), "asks differ")
        require(bids[1] == [self._sides[0][price] for price in bids[0]], "bid sizes differ")
        require(asks[1] == [self._sides[1][price] for price in asks[0]], "ask sizes differ")

    def _apply(self, record: bytes) -> None:
        size = self._LEVEL.itemsize
        rows = np.frombuffer(record[1 : 1 + len(record[1:]) // size * size], self._LEVEL)
        prices = np.abs(rows["price"] % VALUE_LIMIT)
        order = np.argsort(rows["kind"] & 1, kind="stable")
        middle = int((rows["kind"] & 1 == 0).sum())
        updates = np.ascontiguousarray(
            np.stack([prices, rows["size"].astype(np.int64), prices])[:, order]
        )
        whole, limit = bool(record[:1] and record[0] & 1), 3 if record[:1] > b"\xf0" else LEVELS_MAX
        bounds = (0, middle, updates.shape[1])
        top = new_tops(1)
        (self._book.replace if whole else self._book.apply)(updates, bounds, limit, top, 0)
        for side, held in enumerate(self._sides):
            if whole:
                held.clear()
            for price, lots in updates[:2, slice(*bounds[side : side + 2])].T.tolist():
                held[price] = lots
                if not lots:
                    del held[price]
            if len(held) > limit:
                for price in sorted(held, reverse=side == 0)[limit:]:
                    del held[price]


def _book_seeds() -> list[bytes]:
    return [
        bytes([kind])
        + np.array(
            [(100 + (step * 7 + level) % 13, level % 3, (step + level) % 2) for level in range(6)],
            Books._LEVEL,
        ).tobytes()
        for step in range(20)
        for kind in (0, 0, 0, 1, 0xF2)
    ]


TARGETS = [
    Target(
        name="decimal_texts",
        an_input="a number's text",
        open=lambda: _scalars,
        seeds=lambda: [*ODD_NUMBERS, *(b'"%b"' % n for n in ODD_NUMBERS), b"1.25", b'"57000.10"'],
        mutator=Mutator(TEXT_TOKEN, ODD_NUMBERS, (b".", b"e", b"-", b'"', b"0", b"00000000")),
        share=15_000,
        batch=1_024,
    ),
    Target(
        name="level_texts",
        an_input="two sides of a book",
        open=lambda: _levels,
        seeds=lambda: [
            b'[["1.5","2"],["1.4","0"]]|[["1.6","1"]]',
            b'[[1.5,2,"x"]]|[]',
            b'[ [ "1" , "2" , "a\\"]" ] ] |[["9223372036854775808","1"]]',
        ],
        mutator=Mutator(JSON_TOKEN, ODD_JSON, (b"[", b"]", b",", b'["1","2"]', b" ", b"|")),
        share=10_000,
    ),
    Target(
        name="time_texts",
        an_input="a time's text",
        open=lambda: _times,
        seeds=lambda: [
            b"2021-04-17T16:43:37.075687Z", b"2021-04-17T16:43:37Z", b"1618678133.365913",
            b"1618678133365", b"1618678133365913", b"9999-12-31T23:59:59.999999999Z",
        ],
        mutator=Mutator(TEXT_TOKEN, ODD_NUMBERS, (b"T", b"Z", b"-", b":", b"+00:00", b"W", b".")),
        share=10_000,
    ),
    Target(
        name="order_books",
        an_input="a message",
        open=Books,
        seeds=_book_seeds,
        mutator=Mutator(BYTE_TOKEN, ODD_BYTES, ODD_BYTES),
        share=500,
    ),
]  # fmt: skip
