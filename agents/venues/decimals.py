"""Decimal text to scaled integers, exactly, a batch at a time in compiled loops."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Raw
from numba import njit

from headrace.batch import BoolArray, IntArray

GOOD, MISSING, BAD, SHAPELESS, TOO_LARGE = 0, 1, 2, 3, 4
"""What became of a text: read; nothing there; no decimal number that fits the scale exactly; no
array of levels.  (TOO_LARGE, a number past all integers, is BAD to whoever asks for it alone.)"""

VALUE_LIMIT = 1 << 62
"""Scaled values stay below this, so that a sum of two fits 64 bits."""

EXPONENT_LIMIT = 400
DECIMALS_MAX = 255
"""Decimals counted in a text form; it has one byte for them."""

FORM_PRICE = 256

_QUOTE, _MINUS, _PLUS, _DOT = ord('"'), ord("-"), ord("+"), ord(".")
_ZERO, _NINE = ord("0"), ord("9")
_SMALL_E, _LARGE_E = ord("e"), ord("E")
_OPEN, _CLOSE, _COMMA, _BACKSLASH = ord("["), ord("]"), ord(","), ord("\\")
_SPACE = ord(" ")
_OPEN_BRACE = ord("{")

StatusArray = npt.NDArray[np.uint8]


def scaled(texts: Sequence[Raw | bytes], scales: IntArray) -> tuple[IntArray, StatusArray]:
    """Return each text times 10**scale, and whether that was possible; never rounded.

    A text is a JSON number, or a JSON string that holds one.
    Shapes:  all (n,); statuses are GOOD, MISSING or BAD.
    """
    buffer = np.frombuffer(b"".join(texts), np.uint8)
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    values = np.zeros(len(texts), np.int64)
    statuses = np.zeros(len(texts), np.uint8)
    _read_scalars(buffer, ends, scales, values, statuses)
    return values, statuses


class Levels(NamedTuple):
    """The price levels of many arrays: bids and asks by turns.

    Shapes:  updates (3, levels): prices, sizes, text forms; ends (arrays,): where each array's
             levels end; statuses (arrays,), an array that is not GOOD has no levels;
             impossible (arrays,): has a price that is not above 0 or a size below 0;
             beyond (arrays,): asks left out, priced past all integers.
    """

    updates: IntArray
    ends: IntArray
    statuses: StatusArray
    impossible: BoolArray
    beyond: IntArray


def levels(arrays: Sequence[Raw | bytes], price_scales: IntArray, size_scales: IntArray) -> Levels:
    """Read JSON arrays of `[price, size, …]`; what follows the size in a level is passed over.

    Shapes:  arrays, price_scales and size_scales (arrays,); bids and asks by turns.
    """
    joined = b"".join(arrays)
    count = len(arrays)
    ends = np.cumsum(np.fromiter(map(len, arrays), np.int64, count))
    found = Levels(
        np.empty((3, joined.count(b"[")), np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.uint8),
        np.zeros(count, np.bool_),
        np.zeros(count, np.int64),
    )
    _read_arrays(np.frombuffer(joined, np.uint8), ends, price_scales, size_scales, found)
    return found


@njit(cache=True)
def _read_scalars(buffer: Any, ends: Any, scales: Any, values: Any, statuses: Any) -> None:
    at = 0
    for index in range(len(ends)):
        end = ends[index]
        if at == end:
            statuses[index] = MISSING
            continue
        after, value, _, status = _read_value(buffer, at, end, scales[index])
        if status == GOOD and after == end:
            values[index] = value
        else:
            statuses[index] = BAD
        at = end


@njit(cache=True)
def _read_arrays(buffer: Any, ends: Any, price_scales: Any, size_scales: Any, found: Any) -> None:
    at = 0
    level = 0
    for index in range(len(ends)):
        end = ends[index]
        if at == end:
            found.statuses[index] = MISSING
        else:
            scales = (price_scales[index], size_scales[index])
            after, status, count, below, past = _read_array(
                buffer, at, end, scales, found.updates, level
            )
            # Asks stand second: one priced past all integers is the farthest level of all.
            if status == GOOD and past > 0 and index % 2 == 0:
                status = BAD
            if status == GOOD and _past_space(buffer, after, end) != end:
                status = SHAPELESS
            found.statuses[index] = status
            if status == GOOD:
                level += count
                found.impossible[index] = below
                found.beyond[index] = past
        found.ends[index] = level
        at = end


@njit(cache=True)
def _read_array(  # noqa: PLR0917 (a compiled loop takes its arrays one by one)
    buffer: Any, at: int, end: int, scales: Any, updates: Any, level: int
) -> Any:
    """Return where the array ends, its status, levels, if one is impossible, how many too high."""
    first = level
    below = False
    past = 0
    at = _past_space(buffer, at, end)
    if at >= end or buffer[at] != _OPEN:
        return end, SHAPELESS, 0, False, 0
    at = _past_space(buffer, at + 1, end)
    if at < end and buffer[at] == _CLOSE:
        return at + 1, GOOD, 0, False, 0
    while at < end:
        at, status, price, size, form = _read_level(buffer, at, end, scales)
        if status == TOO_LARGE:
            past += 1
        elif status != GOOD:
            return end, status, 0, False, 0
        else:
            updates[0, level] = price
            updates[1, level] = size
            updates[2, level] = form
            level += 1
            below = below or price <= 0 or size < 0
        at = _past_space(buffer, at, end)
        if at < end and buffer[at] == _CLOSE:
            return at + 1, GOOD, level - first, below, past
        if at >= end or buffer[at] != _COMMA:
            break
        at = _past_space(buffer, at + 1, end)
    return end, SHAPELESS, 0, False, 0


@njit(cache=True)
def _read_level(buffer: Any, at: int, end: int, scales: Any) -> Any:
    """Return where the level ends, its status (TOO_LARGE: its price), price, size, text form."""
    if buffer[at] != _OPEN:
        return end, SHAPELESS, 0, 0, 0
    at = _past_space(buffer, at + 1, end)
    at, price, price_decimals, price_status = _read_value(buffer, at, end, scales[0])
    if price_status == BAD:
        return end, BAD, 0, 0, 0
    at = _past_space(buffer, at, end)
    if at >= end or buffer[at] != _COMMA:
        return end, SHAPELESS, 0, 0, 0
    at = _past_space(buffer, at + 1, end)
    at, size, size_decimals, size_status = _read_value(buffer, at, end, scales[1])
    if size_status != GOOD:
        return end, BAD, 0, 0, 0
    at = _past_rest(buffer, at, end)
    if at < 0:
        return end, SHAPELESS, 0, 0, 0
    return at, price_status, price, size, price_decimals * FORM_PRICE + size_decimals


@njit(cache=True)
def _past_space(buffer: Any, at: int, end: int) -> int:
    while at < end and buffer[at] <= _SPACE:
        at += 1
    return at


@njit(cache=True)
def _past_rest(buffer: Any, at: int, end: int) -> int:
    """Return the place after the bracket that closes this level; -1 if there is none."""
    in_text = False
    while at < end:
        byte = buffer[at]
        if in_text:
            if byte == _BACKSLASH:
                at += 1
            elif byte == _QUOTE:
                in_text = False
        elif byte == _QUOTE:
            in_text = True
        elif byte == _CLOSE:
            return at + 1
        elif byte in (_OPEN, _OPEN_BRACE):
            return -1
        at += 1
    return -1


@njit(cache=True)
def _read_value(  # noqa: C901 (a number is read in one go)
    buffer: Any, at: int, end: int, scale: int
) -> Any:
    """Return where the value ends, the value times 10**scale, its decimals, and its status."""
    quoted = at < end and buffer[at] == _QUOTE
    if quoted:
        at += 1
    negative = at < end and buffer[at] == _MINUS
    if negative:
        at += 1
    first = at
    at, mantissa, kept, decimals, status = _read_digits(buffer, at, end, scale)
    exponent = 0
    if at < end and at > first and (buffer[at] == _SMALL_E or buffer[at] == _LARGE_E):
        at, exponent, exponent_status = _read_exponent(buffer, at + 1, end)
        if exponent > 0:
            # Read once more: digits beyond the scale are within it after all.
            _, mantissa, kept, decimals, status = _read_digits(buffer, first, end, scale + exponent)
        decimals = max(0, decimals - exponent)
        if exponent_status == BAD:
            status = BAD
    if quoted and status != BAD:
        if at >= end or buffer[at] != _QUOTE:
            status = BAD
        at += 1
    shift = scale - kept + exponent
    while status == GOOD and shift > 0 and mantissa != 0:
        if mantissa > (VALUE_LIMIT - 1) // 10:
            status = TOO_LARGE
        mantissa *= 10
        shift -= 1
    while status == GOOD and shift < 0 and mantissa != 0:
        if mantissa % 10 != 0:
            status = BAD
        mantissa //= 10
        shift += 1
    if negative and status == TOO_LARGE:
        status = BAD
    return at, -mantissa if negative else mantissa, min(decimals, DECIMALS_MAX), status


@njit(cache=True)
def _read_digits(buffer: Any, at: int, end: int, scale: int) -> Any:
    """Return place, digits as an integer, decimals in it, decimals in the text, status.

    Zeros beyond the scale are no loss and are left out of the integer; other digits there are.
    """
    mantissa = 0
    kept = 0
    decimals = 0
    status = GOOD
    first = at
    fraction = False
    while at < end:
        byte = buffer[at]
        if byte == _DOT and not fraction and at > first:
            fraction = True
            at += 1
            continue
        if byte < _ZERO or byte > _NINE:
            break
        digit = byte - _ZERO
        at += 1
        if fraction:
            decimals += 1
            if kept == scale:
                if digit != 0:
                    status = BAD
                continue
            kept += 1
        if mantissa > (VALUE_LIMIT - 1 - digit) // 10:
            if status == GOOD:
                status = TOO_LARGE
            mantissa = 0
        mantissa = mantissa * 10 + digit
    if at == first or (fraction and decimals == 0):
        status = BAD
    return at, mantissa, kept, decimals, status


@njit(cache=True)
def _read_exponent(buffer: Any, at: int, end: int) -> Any:
    negative = at < end and buffer[at] == _MINUS
    if at < end and (buffer[at] == _MINUS or buffer[at] == _PLUS):
        at += 1
    first = at
    exponent = 0
    while at < end and _ZERO <= buffer[at] <= _NINE:
        exponent = min(exponent * 10 + (buffer[at] - _ZERO), EXPONENT_LIMIT)
        at += 1
    return at, -exponent if negative else exponent, GOOD if at > first else BAD
