"""What lies in the log, as it was read: columns of bytes by topic and partition."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from headrace.batch import Headers, IntArray
from headrace.byte_column import take

Place: TypeAlias = tuple[str, int]
"""A topic and a partition."""

Offsets: TypeAlias = dict[Place, int]
"""The next offset wanted, by topic and partition."""


@dataclass(slots=True)
class RawPart:
    """Records of one topic-partition as they lie in the log.

    Shapes:  all columns have one item a record; `headers` is None where no record has any.
    """

    topic: str
    partition: int
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]
    offsets: IntArray
    timestamps_ms: IntArray
    headers: Sequence[Headers] | None = None

    @property
    def place(self) -> Place:
        """Return where it lies."""
        return self.topic, self.partition

    def take(self, rows: IntArray) -> "RawPart":
        """Return the part with these rows only."""
        return RawPart(
            self.topic,
            self.partition,
            take(self.values, rows),
            take(self.keys, rows),
            self.offsets[rows],
            self.timestamps_ms[rows],
            None if self.headers is None else [self.headers[row] for row in rows.tolist()],
        )

    def slice(self, first: int, end: int) -> "RawPart":
        """Return the rows from one to before another, without a copy."""
        return RawPart(
            self.topic,
            self.partition,
            self.values[first:end],
            self.keys[first:end],
            self.offsets[first:end],
            self.timestamps_ms[first:end],
            None if self.headers is None else self.headers[first:end],
        )


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one poll brought.

    `ends` are the partitions that were read to their end, and where that is: behind the last
    record there may be markers of transactions, which are none.
    """

    parts: Sequence[RawPart] = ()
    ends: Offsets = field(default_factory=dict)

    def read_to(self) -> Offsets:
        """Return the next offset wanted of every partition this poll says something of."""
        read = {part.place: int(part.offsets[-1]) + 1 for part in self.parts if len(part.offsets)}
        return read | self.ends

    def behind(self, ends: Offsets) -> list[Place]:
        """Return the partitions of which this poll says something behind these ends."""
        return [place for place, to in self.read_to().items() if to > ends.get(place, to)]

    def before(self, ends: Offsets) -> "Fetched":
        """Return what lies before these ends; a partition that goes past its end is read to it."""
        past = self.behind(ends)
        if not past:
            return self
        parts = []
        for part in self.parts:
            end = ends.get(part.place)
            kept = None if end is None else int(np.searchsorted(part.offsets, end))
            if kept is None or kept:
                parts.append(part if kept is None else part.slice(0, kept))
        return Fetched(parts, self.ends | {place: ends[place] for place in past})
