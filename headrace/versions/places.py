"""Where in the input something is to begin or to end: a word or a time, as offsets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headrace.backtest.window import iso_time_ns
from headrace.errors import UsageError
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.offsets import OffsetQuery


@dataclass(frozen=True, slots=True)
class At:
    """An offset, the same in every partition."""

    offset: int


Where: TypeAlias = str | int | At
"""One of the words an option knows, a time in ms since 1970, UTC, or an offset."""

NS_A_MS = 1_000_000

EARLIEST, LATEST = "earliest", "latest"


def parse_where(
    text: str, option: str, words: Sequence[str], *, takes_offsets: bool = False
) -> Where:
    """Return the word or the time that an option was given, or the offset if it takes them.

    Raises:  UsageError if it is none of them.
    """
    if text in words:
        return text
    if takes_offsets and text.isascii() and text.isdecimal():
        return At(int(text))
    try:
        return iso_time_ns(text) // NS_A_MS
    except ValueError as error:
        known = [*words, "an offset"] if takes_offsets else words
        raise UsageError(
            f"{option}: expected {', '.join(known)} or a time such as 2026-03-01T12:00:00Z, found "
            f"{text!r}"
        ) from error


def offsets_at(bootstrap: str, places: Sequence[Place], where: Where) -> Offsets:
    """Return the offset of each place at the beginning, the end, a time, or an offset.

    A time is the log's own: when the record was written. An offset that a log does not reach is its
    end; one it holds no longer, its beginning.
    """
    logs = OffsetQuery(bootstrap)
    try:
        if isinstance(where, int):
            return logs.at_time(places, where)
        if isinstance(where, At):
            lows, highs = logs.starts(places), logs.ends(places)
            return {place: min(max(where.offset, lows[place]), highs[place]) for place in places}
        return logs.starts(places) if where == EARLIEST else logs.ends(places)
    finally:
        logs.close()
