"""The venues' spellings of time, as UTC nanoseconds."""

from datetime import UTC, datetime
from functools import lru_cache

from agents.venues.outcome import MALFORMED, FrameError

ABSENT = -1
"""An id or a time that a frame does not carry."""

TIME_NS_MAX = 8 * 10**18
"""The year 2223: far enough, and a pass's shift still fits 64 bits on top."""

_MILLIS_MAX = 10**14
"""Larger counts are microseconds: as milliseconds they would lie after the year 5000."""

_SECONDS_CACHED_MAX = 4_096
_SECOND_LENGTH = len("2021-04-17T16:43:37")
_FRACTION_DIGITS = 9
_SECONDS_DIGITS_MAX = len(str(TIME_NS_MAX)) - _FRACTION_DIGITS


def epoch_ns(count: int) -> int:
    """Return nanoseconds of milliseconds or microseconds since the epoch; ABSENT stays."""
    if count < 0:
        return ABSENT
    time_ns = count * 1_000_000 if count < _MILLIS_MAX else count * 1_000
    if time_ns > TIME_NS_MAX:
        raise FrameError(MALFORMED, f"time {count}: expected milliseconds before the year 2223")
    return time_ns


def seconds_ns(text: str) -> int:
    """Return nanoseconds of seconds since the epoch as decimal text, `1618678133.365913`."""
    whole, _, fraction = text.partition(".")
    is_count = _is_digits(whole) and len(whole) <= _SECONDS_DIGITS_MAX
    return _joined(text, int(whole) if is_count else ABSENT, fraction)


def iso_ns(text: str) -> int:
    """Return nanoseconds of `2021-04-17T16:43:37.075687Z`; up to nine decimals."""
    if not text.endswith("Z"):
        raise FrameError(MALFORMED, f"time {text[:40]!r}: expected an ISO 8601 time in UTC, with Z")
    return _joined(text, _second(text[:_SECOND_LENGTH]), text[_SECOND_LENGTH + 1 : -1])


@lru_cache(maxsize=_SECONDS_CACHED_MAX)
def _second(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return ABSENT
    return int(moment.timestamp())


def _joined(text: str, seconds: int, fraction: str) -> int:
    well_formed = not fraction or (len(fraction) <= _FRACTION_DIGITS and _is_digits(fraction))
    time_ns = seconds * 10**9 + int((fraction if well_formed else "").ljust(_FRACTION_DIGITS, "0"))
    if seconds < 0 or not well_formed or time_ns > TIME_NS_MAX:
        raise FrameError(MALFORMED, f"time {text[:40]!r}: expected a time from 1970 to 2223")
    return time_ns


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
