"""What every operator is told of a batch's records, and how far event time has come at each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.batch import BoolArray, DeadRow, IntArray
from headrace.errors import InvariantError, UsageError
from headrace.operators.limits import TIME_NS_LIMIT

LatePolicy: TypeAlias = Literal["drop", "dead"]
"""What becomes of records an operator leaves out: only counted, or a dead letter each."""

NO_TIME_NS = -TIME_NS_LIMIT
"""The largest event time before the first record: below every watermark there can be."""

TAKEN, LATE, KEY_REFUSED, TIME_OUT_OF_RANGE, PUNCTUATION, REPEATED, OVER_LIMIT = range(7)
"""What became of a record."""

COUNT_BY_FATE = {
    LATE: "late",
    KEY_REFUSED: "key_refused",
    TIME_OUT_OF_RANGE: "time_out_of_range",
    REPEATED: "repeated",
    OVER_LIMIT: "over_limit",
}
# What is left out on purpose is no dead letter.
DETAIL_BY_FATE = {
    LATE: "expected an event time the watermark has not passed; raise the lateness to take it",
    KEY_REFUSED: "expected no more keys than the operator may hold; raise keys_max",
    TIME_OUT_OF_RANGE: "expected an event time from 0 to below 2^62 ns",
}

Fates: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rows:
    """Keys and event times of some records, in the order of the batch.

    `orders` part records of the same time (a sequence, say); without them their arrival does, and
    what is first or last among them then depends on it. Where `punctuation` is true a row only
    tells the time: it moves the watermark, is in no window, and its key is not looked at.

    Shapes:  n items each; `keys` strings without nulls; times in UTC nanoseconds.
    """

    keys: pa.Array
    times_ns: IntArray
    orders: IntArray | None = None
    punctuation: BoolArray | None = None

    def __post_init__(self) -> None:
        """Refuse columns that do not belong together."""
        lengths = {len(self.keys), len(self.times_ns)}
        lengths |= {len(c) for c in (self.orders, self.punctuation) if c is not None}
        if len(lengths) > 1 or self.keys.null_count:
            raise InvariantError(
                f"rows of an operator: expected columns of one length and no key that is null, "
                f"found lengths {sorted(lengths)} and {self.keys.null_count} nulls"
            )

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.times_ns)

    @classmethod
    def telling(cls, time_ns: int) -> "Rows":
        """Return the one row that only tells the time."""
        return cls(pa.array([""]), np.array([time_ns]), None, np.array([True]))

    def fates(self) -> Fates:
        """Return what is known of each row before any window is looked at."""
        fates = np.zeros(len(self), np.uint8)
        if self.punctuation is not None:
            fates[self.punctuation] = PUNCTUATION
        fates[(self.times_ns < 0) | (self.times_ns >= TIME_NS_LIMIT)] = TIME_OUT_OF_RANGE
        return fates


def latest_at(times_ns: IntArray, fates: Fates, before_ns: int) -> IntArray:
    """Return at each row the largest event time up to it; times out of range do not count.

    Shapes:  (n,) in and out; `before_ns` is the largest before the first row.
    """
    counted = np.where(fates == TIME_OUT_OF_RANGE, before_ns, times_ns)
    latest: IntArray = np.maximum(np.maximum.accumulate(counted), before_ns)
    return latest


@dataclass(slots=True)
class LeftOut:
    """The records an operator did not take: counted by cause, and their rows.

    Shapes:  `fates` (n,), one of `TAKEN`, `LATE`, … a row of the call.
    """

    fates: Fates
    policy: LatePolicy
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Count what was left out."""
        found = np.bincount(self.fates, minlength=OVER_LIMIT + 1)
        self.counts |= {
            name: int(found[fate]) for fate, name in COUNT_BY_FATE.items() if found[fate]
        }

    def rows(self, fate: int = LATE) -> IntArray:
        """Return the rows with that fate, ascending."""
        return np.flatnonzero(self.fates == fate).astype(np.int64)

    def dead(self, part: int = 0, part_rows: IntArray | None = None) -> list[DeadRow]:
        """Return dead letters for what was left out; none where the policy is `drop`.

        `part` is the batch's part, `part_rows` the row in it of each row of the call, if it is
        another.
        """
        if self.policy == "drop":
            return []
        rows = np.flatnonzero(np.isin(self.fates, list(DETAIL_BY_FATE)))
        numbers = rows if part_rows is None else part_rows[rows]
        return [
            DeadRow(part, number, COUNT_BY_FATE[fate], DETAIL_BY_FATE[fate])
            for number, fate in zip(numbers.tolist(), self.fates[rows].tolist(), strict=True)
        ]


def key_ranks(names: Sequence[str]) -> IntArray:
    """Return the place of each name among the distinct names in alphabetical order."""
    places = {name: place for place, name in enumerate(sorted(set(names)))}
    return np.fromiter((places[name] for name in names), np.int64, len(names))


def merged_counts(*counts: Mapping[str, int]) -> dict[str, int]:
    """Return the sums of counts by name."""
    total: dict[str, int] = {}
    for found in counts:
        for name, count in found.items():
            total[name] = total.get(name, 0) + count
    return total


def require_span(where: str, value_ns: int, *, least: int = 0) -> None:
    """Refuse a span of time that cannot be.

    Raises:  UsageError.
    """
    if not least <= value_ns < TIME_NS_LIMIT:
        raise UsageError(
            f"operator, {where}: expected a span from {least} ns to below 2^62 ns, found {value_ns}"
        )
