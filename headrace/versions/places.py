"""Where in the input something is to begin or to end: a word or a time, as offsets."""

from collections.abc import Sequence
from typing import TypeAlias

from headrace.backtest.window import iso_time_ns
from headrace.errors import UsageError
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.offsets import OffsetQuery

Where: TypeAlias = str | int
"""One of the words an option knows, or a time in ms since 1970, UTC."""

NS_A_MS = 1_000_000

EARLIEST, LATEST = "earliest", "latest"


def parse_where(text: str, option: str, words: Sequence[str]) -> Where:
    """Return the word or the time that an option was given.

    Raises:  UsageError if it is neither.
    """
    if text in words:
        return text
    try:
        return iso_time_ns(text) // NS_A_MS
    except ValueError as error:
        raise UsageError(
            f"{option}: expected {', '.join(words)} or a time such as 2026-03-01T12:00:00Z, found "
            f"{text!r}"
        ) from error


def offsets_at(bootstrap: str, places: Sequence[Place], where: Where) -> Offsets:
    """Return the offset of each place at the beginning, the end, or a time.

    A time is the log's own: when the record was written.
    """
    logs = OffsetQuery(bootstrap)
    try:
        if isinstance(where, int):
            return logs.at_time(places, where)
        return logs.starts(places) if where == EARLIEST else logs.ends(places)
    finally:
        logs.close()
