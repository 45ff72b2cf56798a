"""A section of a page in docs that a benchmark writes: what stands between its two markers."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime

import psutil


def with_section(text: str, name: str, lines: Sequence[str]) -> str:
    """Return the page with the section of that name replaced.

    Raises:  ValueError if the page has no place for it.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"expected a section between {begin} and {end}, found none; add the two")
    return before + "\n".join([begin, *lines, end]) + after


def machine() -> str:
    """Return on what the figures were taken, and when."""
    return (
        f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )
