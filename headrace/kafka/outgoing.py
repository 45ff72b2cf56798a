"""What waits to be written, partition by partition, and what is on its way."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from headrace.kafka.batch_writing import Rows, batch_of, joined
from headrace.kafka.fetched import Place
from headrace.kafka.produce_wire import Producer

BATCH_BYTES_MAX = 2**20
"""Of one partition in one request, but for a record that is larger by itself."""

SEQUENCE_MAX = 2**31 - 1


@dataclass(slots=True)
class Sent:
    """Records of one partition that are on their way, until they are acknowledged.

    What is sent again is the same `batch`, to the byte: the broker knows it by `sequence`, the
    place of its first record among all that this producer has written there.
    """

    rows: Rows
    sequence: int
    batch: memoryview | None = None

    def seal(self, producer: Producer, *, is_transactional: bool) -> memoryview:
        """Return the batch, made once."""
        if self.batch is None:
            self.batch = batch_of(
                self.rows, producer, self.sequence, is_transactional=is_transactional
            )
        return self.batch


@dataclass(slots=True)
class Line:
    """Of one partition: what waits in order, and what is on its way.

    `since_s` is when what stands first began to.
    """

    since_s: float
    waiting: deque[Rows] = field(default_factory=deque)
    sent: Sent | None = None
    sequence: int = 0

    def fill(self) -> Sent | None:
        """Return what is sent next: the same until that is acknowledged."""
        if self.sent is None and self.waiting:
            self.sent = Sent(self._first(), self.sequence)
        return self.sent

    def _first(self) -> Rows:
        found: list[Rows] = []
        room = BATCH_BYTES_MAX
        while self.waiting:
            rows = self.waiting[0]
            size = rows.bytes
            if size > room and found:
                break
            self.waiting.popleft()
            if size > room:
                rows, rest = rows.cut(room)
                if len(rest):
                    self.waiting.appendleft(rest)
            found.append(rows)
            room -= size
        return joined(found)


@dataclass(slots=True)
class Outgoing:
    """The lines of all partitions; used under the lock of who owns it."""

    lines: dict[Place, Line] = field(default_factory=dict)
    records: int = 0
    bytes: int = 0

    def add(self, place: Place, rows: Rows, now_s: float) -> None:
        """Have records written behind those that wait."""
        line = self.lines.setdefault(place, Line(now_s))
        if line.sent is None and not line.waiting:
            line.since_s = now_s
        line.waiting.append(rows)
        self.records += len(rows)
        self.bytes += rows.bytes

    def busy(self) -> list[Place]:
        """Return the partitions of which something waits or is on its way, the oldest first."""
        busy = [p for p, line in self.lines.items() if line.sent is not None or line.waiting]
        return sorted(busy, key=lambda place: self.lines[place].since_s)

    def done(self, place: Place, sent: Sent, now_s: float) -> None:
        """Note that a batch is in the log."""
        line = self.lines[place]
        if line.sent is not sent:  # it was dropped meanwhile
            return
        line.sequence = (line.sequence + len(sent.rows)) & SEQUENCE_MAX  # as Kafka counts on
        line.sent = None
        line.since_s = now_s
        self._forget(sent.rows)

    def drop(self, places: Iterable[Place]) -> int:
        """Write nothing more of what waits or is on its way there; return how many records."""
        before = self.records
        for place in places:
            line = self.lines[place]
            if line.sent is not None:
                self._forget(line.sent.rows)
                line.sent = None
            while line.waiting:
                self._forget(line.waiting.popleft())
        return before - self.records

    def begin(self) -> None:
        """Count from 0 again, as a producer with a new number or epoch does.

        Nothing may be on its way.
        """
        for line in self.lines.values():
            line.sequence = 0

    def _forget(self, rows: Rows) -> None:
        self.records -= len(rows)
        self.bytes -= rows.bytes
