"""How far each partition is read, and what was read and not taken yet."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from headrace.byte_column import column_of, concat
from headrace.errors import InvariantError
from headrace.kafka.fetched import Fetched, Offsets, Place, RawPart


@dataclass(slots=True)
class Position:
    """Of one partition: what is fetched next, and in which reading of it.

    `reading` changes whenever it is said anew from where to read: what was asked for before is of
    no use then. `ended_at` is the end that was told last.
    """

    offset: int
    reading: int
    is_paused: bool = False
    stable_end: int = -1
    ended_at: int = -1


@dataclass(slots=True, eq=False)
class Chunk:
    """Records that came together, and the end of the partition, if it was read to there.

    `first` is the offset from which on it would come again.
    """

    place: Place
    reading: int
    part: RawPart | None
    end: int | None
    size: int
    first: int


@dataclass(slots=True)
class Positions:
    """The partitions that are read; used under the lock of who owns it.

    What waits of the topics in `first` is taken before all else: an operator's word must not wait
    behind the records it is about.
    """

    first: frozenset[str] = frozenset()
    by_place: dict[Place, Position] = field(default_factory=dict)
    ahead: deque[Chunk] = field(default_factory=deque)
    waiting: deque[Chunk] = field(default_factory=deque)
    waiting_bytes: int = 0
    """Of both."""
    readings: int = 0

    def start(self, starts: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets, whatever was read of them before."""
        for place, offset in starts.items():
            self.readings += 1
            self.by_place[place] = Position(offset, self.readings)

    def stop(self, places: Iterable[Place]) -> None:
        """Read these no more."""
        for place in places:
            self.by_place.pop(place, None)

    def pause(self, places: Iterable[Place], *, is_paused: bool) -> None:
        """Give nothing of these for now, and fetch no more of them; or go on.

        What waited of them is forgotten, and fetched again when they go on: it would take the room
        of the others for as long as they are paused, and these may be what is waited for.
        """
        for place in places:
            position = self.by_place.get(place)
            if position is not None and position.is_paused != is_paused:
                position.is_paused = is_paused
                if is_paused:
                    self._give_back(place, position)

    def add(self, place: Place, reading: int, part: RawPart | None, offset: int, end: int) -> None:
        """Note what was fetched: records, the next offset, and where the log ends just now."""
        position = self.by_place.get(place)
        if position is None or position.reading != reading:
            return
        first = position.offset
        position.offset, position.stable_end = offset, end
        ended = None
        if offset >= end and (position.ended_at != offset or part is not None):
            position.ended_at = ended = offset
        if part is None and ended is None:
            return
        size = 0 if part is None else _bytes_of(part)
        self._queue_of(place).append(Chunk(place, reading, part, ended, size, first))
        self.waiting_bytes += size

    def is_readable(self) -> bool:
        """Say whether something can be taken."""
        return bool(self.ahead or self.waiting)

    def _queue_of(self, place: Place) -> deque[Chunk]:
        return self.ahead if place[0] in self.first else self.waiting

    def take(self, records_max: int) -> Fetched:
        """Return what came first, at most so many records."""
        found: dict[Place, list[RawPart]] = {}
        ends: Offsets = {}
        room = records_max
        for queue in (self.ahead, self.waiting):
            room = self._take_from(queue, room, found, ends)
        return Fetched([_joined(parts) for parts in found.values()], ends)

    def _take_from(
        self, queue: deque[Chunk], room: int, found: dict[Place, list[RawPart]], ends: Offsets
    ) -> int:
        """Add what came first, and the ends that were met; return for how many more is room."""
        while queue and room:
            chunk = queue.popleft()
            if self._is_stale(chunk):
                self.waiting_bytes -= chunk.size
                continue
            ends.pop(chunk.place, None)
            if chunk.part is not None:
                taken, rest = _cut(chunk, room)
                found.setdefault(chunk.place, []).append(taken)
                room -= len(taken.offsets)
                if rest is not None:
                    self.waiting_bytes -= chunk.size - rest.size
                    queue.appendleft(rest)
                    break
            self.waiting_bytes -= chunk.size
            if chunk.end is not None:
                ends[chunk.place] = chunk.end
        return room

    def _give_back(self, place: Place, position: Position) -> None:
        """Forget what waits of a place, and read it anew from there: also what is on its way."""
        queue = self._queue_of(place)
        mine = [chunk for chunk in queue if chunk.place == place]
        for chunk in mine:
            queue.remove(chunk)
            self.waiting_bytes -= chunk.size
        position.offset = next(
            (chunk.first for chunk in mine if chunk.reading == position.reading), position.offset
        )
        self.readings += 1
        position.reading, position.ended_at = self.readings, -1

    def _is_stale(self, chunk: Chunk) -> bool:
        position = self.by_place.get(chunk.place)
        return position is None or position.reading != chunk.reading


def _cut(chunk: Chunk, rows: int) -> tuple[RawPart, Chunk | None]:
    """Return the first rows of a chunk, and the rest of it, if there is one."""
    part = chunk.part
    if part is None:
        raise InvariantError("a chunk without records has nothing to cut")
    count = len(part.offsets)
    if count <= rows:
        return part, None
    taken, rest = part.slice(0, rows), part.slice(rows, count)
    left = Chunk(chunk.place, chunk.reading, rest, chunk.end, _bytes_of(rest), int(rest.offsets[0]))
    return taken, left


def _joined(parts: list[RawPart]) -> RawPart:
    """Return the records of one partition that came in several parts as one."""
    if len(parts) == 1:
        return parts[0]
    headers = None
    if any(part.headers is not None for part in parts):
        headers = [row for part in parts for row in part.headers or [[]] * len(part.offsets)]
    return RawPart(
        parts[0].topic,
        parts[0].partition,
        concat([part.values for part in parts]),
        concat([part.keys for part in parts]),
        np.concatenate([part.offsets for part in parts]),
        np.concatenate([part.timestamps_ms for part in parts]),
        headers,
    )


def _bytes_of(part: RawPart) -> int:
    """Return about how much memory records take, cut or not."""
    keys: int = column_of(part.keys).nbytes
    values: int = column_of(part.values).nbytes
    return keys + values + part.offsets.nbytes + part.timestamps_ms.nbytes
