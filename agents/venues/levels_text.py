"""Levels that a venue writes in a shape of its own, put into the one the level reader takes."""

from collections.abc import Iterable

from msgspec import Raw

NO_LEVELS = b"[]"


def levels_text(levels: Iterable[tuple[Raw | bytes, Raw | bytes]]) -> bytes:
    """Return `[[price,size],…]` of prices and sizes as they stood in the frame."""
    return b"[" + b",".join([b"[%b,%b]" % level for level in levels]) + b"]"


def written(value: int, scale: int, decimals: int) -> int:
    """Return the digits that the venue wrote, its decimal point left out, as one integer."""
    surplus = scale - decimals
    return value // 10**surplus if surplus >= 0 else int(value * 10**-surplus)
