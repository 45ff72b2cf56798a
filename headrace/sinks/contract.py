"""What every sink promises the engine, and the position rules they share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from headrace.batch import DeadRow, IntArray, Part
from headrace.errors import InvariantError, TransientError

Key: TypeAlias = tuple[str, int]
"""A topic and a partition of it."""

Keep: TypeAlias = Callable[[Sequence[DeadRow]], None]
"""Keeps records elsewhere that cannot be stored; returns when they are."""


class PositionLostError(TransientError):
    """The store is behind what it had confirmed: read again from where `positions()` says."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one `write` did: rows added, and records that cannot be stored, for the dead letters.

    `dead` names part and row as they were handed to `write`.
    """

    rows: int
    dead: Sequence[DeadRow] = ()


class RecordSink(Protocol):
    """Where topics are copied to; each record once, by positions kept beside the records.

    Every method but `close` raises TransientError where the store is away or another sink moved a
    position: call `open` again, then repeat the write. What was stored already is left out.
    """

    def open(self) -> None:
        """Connect, and make what is missing."""

    def positions(self) -> dict[Key, int]:
        """Return the next offset wanted by (topic, partition); what is absent was never written."""

    def write(self, parts: Sequence[Part], keep: Keep | None = None) -> Written:
        """Store the records of these parts that are not stored yet.

        Those that cannot be are given to `keep` before the position moves beyond them: a process
        that dies in between gives them again, and none is lost.
        """

    def close(self) -> None:
        """Disconnect."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a part: `index` is the part's place in the call, `numbers` ascend."""

    index: int
    part: Part
    numbers: IntArray

    def __len__(self) -> int:
        """Return how many rows these are."""
        return len(self.numbers)

    @property
    def records(self) -> pa.RecordBatch:
        """Return the rows' columns, without a copy if no row is left out between them."""
        first, last = int(self.numbers[0]), int(self.numbers[-1])
        if last - first + 1 == len(self.numbers):
            return self.part.records.slice(first, len(self.numbers))
        return self.part.records.take(pa.array(self.numbers))

    def pieces(self, size: int) -> Iterator["Rows"]:
        """Iterate over runs of so many of the rows, the last of what is left."""
        for start in range(0, len(self), size):
            yield Rows(self.index, self.part, self.numbers[start : start + size])


def fresh_rows(
    parts: Sequence[Part], stored: Mapping[Key, int]
) -> tuple[list[Rows], dict[Key, int]]:
    """Return the rows at or after the stored positions, and the positions after them.

    Raises:  InvariantError if the offsets of a part do not ascend.
    """
    positions = dict(stored)
    fresh = []
    for index, part in enumerate(parts):
        if not len(part):
            continue
        if (part.offsets[1:] <= part.offsets[:-1]).any():
            raise InvariantError(f"{part.topic}[{part.partition}]: offsets of a part must ascend")
        key = (part.topic, part.partition)
        start = int(part.offsets.searchsorted(positions.get(key, 0)))
        if start < len(part):
            fresh.append(Rows(index, part, np.arange(start, len(part), dtype=np.int64)))
            positions[key] = int(part.offsets[-1]) + 1
    return fresh, positions


def require_position(key: Key, *, first: int, stored: int, expected: int, confirmed: int) -> None:
    """Refuse a write that starts at offset `first` where the position is not what we left it at.

    `expected` is what this sink last saw, `confirmed` what it last wrote itself. A part may start
    beyond the position: compaction and transaction markers leave holes in a log.
    """
    topic, partition = key
    known = max(expected, confirmed)
    if stored < known and first > stored:
        raise PositionLostError(
            f"{topic}[{partition}]: the store had confirmed up to {known}, now it wants {stored}; "
            f"it was emptied or restored. Read on from {stored}, not from {first}"
        )
    if stored > expected:
        raise TransientError(
            f"{topic}[{partition}]: expected position {expected}, found {stored}: "
            f"another sink writes this partition"
        )
