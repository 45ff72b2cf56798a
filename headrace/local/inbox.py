"""What waits to be read by one chain: parts by topic in log order, each record with its time."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headrace.batch import Part
from headrace.byte_column import ByteColumn, column_of
from headrace.runtime.parts import concat_parts


class Inbox:
    """The records of each topic in log order; their times never run backwards within a topic.

    A record whose cause is older than the record before it counts as of that record's time: no
    log is read out of its order.
    """

    def __init__(self, topics: list[str]) -> None:
        """Take in these topics; they are handed out in this order."""
        self._parts: dict[str, deque[Part]] = {topic: deque() for topic in topics}
        self._last_ms: dict[str, int] = {}
        self.records = 0

    def add(self, part: Part) -> None:
        """Put the records behind those of their topic."""
        last_ms = self._last_ms.get(part.topic)
        stamps_ms = part.timestamps_ms
        if last_ms is not None:
            stamps_ms = np.maximum(stamps_ms, last_ms)
        stamps_ms = np.maximum.accumulate(stamps_ms)
        self._last_ms[part.topic] = int(stamps_ms[-1])
        self._parts[part.topic].append(replace(part, timestamps_ms=stamps_ms))
        self.records += len(part)

    def first_ms(self) -> int | None:
        """Return the time of the earliest record; None if there is none."""
        heads = [int(parts[0].timestamps_ms[0]) for parts in self._parts.values() if parts]
        return min(heads) if heads else None

    def heads_ms(self) -> dict[str, int]:
        """Return by topic the time of its earliest record; topics without one are left out."""
        return {
            topic: int(parts[0].timestamps_ms[0]) for topic, parts in self._parts.items() if parts
        }

    def take(self, before_ms: int | None = None) -> list[Part]:
        """Take out all records before a time, or all there are: one part a topic."""
        taken = []
        for parts in self._parts.values():
            found: list[Part] = []
            while parts:
                if before_ms is None or parts[0].timestamps_ms[-1] < before_ms:
                    found.append(parts.popleft())
                    continue
                count = int(np.searchsorted(parts[0].timestamps_ms, before_ms, side="left"))
                if count:
                    found.append(rows_between(parts[0], 0, count))
                    parts[0] = rows_between(parts[0], count, len(parts[0]))
                break
            if found:
                taken.append(concat_parts(found))
        self.records -= sum(len(part) for part in taken)
        return taken

    def with_before(self, earlier: Sequence[Part]) -> "Inbox":
        """Return an inbox with these parts before what is in this one, which stays as it is."""
        other = Inbox(list(self._parts))
        for part in (*earlier, *(part for parts in self._parts.values() for part in parts)):
            other.add(part)
        other._last_ms |= self._last_ms
        return other


def rows_between(part: Part, start: int, end: int) -> Part:
    """Return these rows of a part, without copying them."""

    def cut(values: Any) -> ByteColumn:
        return ByteColumn(column_of(values)[start:end])

    return Part(
        part.topic,
        part.partition,
        part.records.slice(start, end - start),
        cut(part.values),
        cut(part.keys),
        part.offsets[start:end],
        part.timestamps_ms[start:end],
        None if part.headers is None else part.headers[start:end],
    )
