"""One depth frame in words that all venues share, and the rule by which its venue's books go on."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import msgspec

from agents.market.order_book import LEVELS_MAX, Side
from agents.venues.timestamps import ABSENT

EVERY_BOOK = -1
"""The slot of a `Depth` that says: all books of the source lost the thread."""

BestSides = Callable[[Side, Side, int, int], int]


class Depth(msgspec.Struct, gc=False):
    """A change of a book, or a whole one (`snapshot`); absent ids, times and checksums are ABSENT.

    `position` is the frame's place in the batch of its source. A depth without a `rule` changes
    nothing, but the book is no longer to be trusted.
    """

    position: int
    slot: int
    rule: "DepthRule | None" = None
    snapshot: bool = False
    first_id: int = ABSENT
    last_id: int = ABSENT
    previous_id: int = ABSENT
    checksum: int = ABSENT
    event_time_ns: int = ABSENT
    levels_max: int = LEVELS_MAX


class Verdict(Enum):
    """What a change is to a valid book."""

    NEXT = "next"
    STALE = "stale"
    GAP = "gap"


@dataclass(frozen=True, slots=True, eq=False)
class DepthRule:
    """How the books of a venue stay whole.

    `judge(book's last id, whether that is a snapshot's, change)` says if the change comes next.
    `checksum(bids, asks, price scale, size scale)` is what `Depth.checksum` must equal, over the
    best `checksum_levels` a side.
    `snapshot_apart`: snapshots come another way (REST), so that changes are held until one fits.
    `gives_quotes`: the venue sends no best quotes with sizes, so the book's top stands in for them.
    """

    judge: Callable[[int, bool, Depth], Verdict]
    snapshot_apart: bool = False
    gives_quotes: bool = True
    checksum: BestSides | None = None
    checksum_levels: int = 0


def always_next(last_id: int, fresh: bool, change: Depth) -> Verdict:  # noqa: ARG001 (a judge)
    """Judge of venues that number nothing."""
    return Verdict.NEXT
