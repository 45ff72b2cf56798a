"""Requests to a broker and its answers, as far as reading a log takes them.

Source:  Kafka's protocol guide: Metadata version 7, Fetch version 11; every broker since 2.3 knows
         both.
"""

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from headrace import limits
from headrace.errors import UsageError
from headrace.kafka.fetched import Place
from headrace.kafka.protocol import Kind, Reader, by_topic, text
from headrace.kafka.record_batches import Aborted

FETCH = Kind(1, 11, is_compact=False)
METADATA = Kind(3, 7, is_compact=False)

OUT_OF_RANGE, UNKNOWN_TOPIC, UNAUTHORIZED = 1, 3, 29
MOVED = frozenset({UNKNOWN_TOPIC, 5, 6, 9, 56, 74, 75, 78, 100})
"""The partition has another leader, or none, or none that this broker has heard of, for now."""

_READ_COMMITTED = 1
_CONSUMER = -1
_ANY_EPOCH = -1
_SESSION_LOST = frozenset({70, 71})
_EPOCH_MAX = 2**31 - 1


class Address(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int


def addresses(bootstrap: str) -> list[Address]:
    """Return the addresses a cluster is found by, `host:port`, several by commas.

    Raises:  UsageError if one is none.
    """
    return [_address(one) for one in bootstrap.split(",")]


def _address(written: str) -> Address:
    """Return an address as it is written.

    Raises:  UsageError if it is none.
    """
    host, _, port = written.strip().removeprefix("PLAINTEXT://").rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"Kafka's address: expected host:port, found {written!r}")
    return Address(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class Leaders:
    """Who leads which partition; `unknown` are topics the cluster does not have.

    `partitions` says of the others how many each has, led by somebody just now or not.
    """

    brokers: Mapping[int, Address]
    leader_by_place: Mapping[Place, int]
    unknown: frozenset[str]
    partitions: Mapping[str, int]


NO_LEADERS = Leaders({}, {}, frozenset(), {})
"""What is known at first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a broker says of one partition; the records are `size` bytes from `start` on."""

    place: Place
    error: int
    stable_end: int
    aborted: Sequence[Aborted]
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Ask:
    """What a fetch asks for: at most how many bytes of each partition and of all.

    `offsets` are those that are new to the session, `forgotten` what it should leave out from now
    on. The broker waits up to `wait_ms` for the first record.
    """

    session: tuple[int, int]
    offsets: Mapping[Place, int]
    forgotten: Collection[Place]
    wait_ms: int
    partition_bytes_max: int
    bytes_max: int


class Session:
    """What a broker remembers of who reads what, so that only changes are said, both ways."""

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._id, self._epoch = 0, 0
        self._known: dict[Place, tuple[int, int]] = {}

    def ask(self, wanted: Mapping[Place, tuple[int, int]]) -> Ask:
        """Return the next question, for these partitions: offset and reading of each."""
        if any(self._known.get(place, want)[1] != want[1] for place, want in wanted.items()):
            # Where nothing is new since another reading asked, the broker would say nothing.
            self.forget()
        changed = {p: want[0] for p, want in wanted.items() if self._known.get(p) != want}
        forgotten = self._known.keys() - wanted.keys()
        self._known = dict(wanted)
        return Ask(
            (self._id, self._epoch),
            changed,
            forgotten,
            limits.FETCH_WAIT_MS,
            limits.FETCH_PARTITION_BYTES_MAX,
            limits.FETCH_BYTES_MAX,
        )

    def note(self, session: int, error: int) -> bool:
        """Take what the broker says of the session; say whether the answer holds anything.

        Raises:  ConnectionError if the broker refuses the whole question.
        """
        if error in _SESSION_LOST:
            self.forget()
            return False
        if error:
            raise ConnectionError(f"the broker refuses to be read from: error {error}")
        if session == 0:  # it has no room for one more
            self.forget()
        else:
            self._id = session
            self._epoch = self._epoch % _EPOCH_MAX + 1
        return True

    def forget(self) -> None:
        """Begin a new one: everything is said again."""
        self._epoch = 0
        self._known = {}


def metadata_body(topics: Sequence[str]) -> bytes:
    """Return the question who leads these topics' partitions, without making any."""
    return struct.pack(">i", len(topics)) + b"".join(map(text, topics)) + b"\0"


def fetch_body(ask: Ask) -> bytes:
    """Return the question for records."""
    topics = by_topic(ask.offsets)
    left: dict[str, list[int]] = {}
    for topic, partition in ask.forgotten:
        left.setdefault(topic, []).append(partition)
    head = (_CONSUMER, ask.wait_ms, 1, ask.bytes_max, _READ_COMMITTED, *ask.session)
    parts = [struct.pack(">iiiibiii", *head, len(topics))]
    for topic, wanted in topics.items():
        parts += [text(topic), struct.pack(">i", len(wanted))]
        parts += [
            struct.pack(">iiqqi", partition, _ANY_EPOCH, offset, -1, ask.partition_bytes_max)
            for partition, offset in wanted
        ]
    parts.append(struct.pack(">i", len(left)))
    for topic, partitions in left.items():
        count = len(partitions)
        parts += [text(topic), struct.pack(f">{1 + count}i", count, *partitions)]
    return b"".join([*parts, text("")])


def leaders_in(answer: memoryview) -> Leaders:
    """Return what an answer to `metadata_body` says."""
    read = Reader(answer, 8)  # behind its number and how long it was held back
    brokers = {}
    for _ in range(read.length()):
        node, host, port = read.int32(), read.text(), read.int32()
        brokers[node] = Address(host or "", port)
        read.text()  # rack
    read.text()  # cluster
    read.int32()  # controller
    leaders: dict[Place, int] = {}
    unknown = set()
    partitions: dict[str, int] = {}
    for _ in range(read.length()):
        error, topic = read.int16(), read.text() or ""
        read.skip(1)
        if error == UNKNOWN_TOPIC:
            unknown.add(topic)
        count = read.length()
        if not error and count:
            partitions[topic] = count
        for _ in range(count):
            partition_error, partition, leader = read.int16(), read.int32(), read.int32()
            read.skip(4)
            for _ in range(3):  # replicas: all, in sync, away
                read.skip(4 * read.length())
            if leader in brokers and partition_error not in MOVED:
                leaders[topic, partition] = leader
    return Leaders(brokers, leaders, frozenset(unknown), partitions)


def answers_in(answer: memoryview, session: Session) -> Iterator[Answer]:
    """Yield what an answer to `fetch_body` says of each partition.

    Raises:  ConnectionError if the broker refuses the whole question.
    """
    read = Reader(answer, 8)
    error = read.int16()
    if not session.note(read.int32(), error):
        return
    for _ in range(read.length()):
        topic = read.text() or ""
        for _ in range(read.length()):
            partition, partition_error = read.int32(), read.int16()
            read.skip(8)
            stable_end = read.int64()
            read.skip(8)
            aborted = [Aborted(read.int64(), read.int64()) for _ in range(read.length())]
            read.skip(4)
            size = read.length()
            place = (topic, partition)
            yield Answer(place, partition_error, stable_end, aborted, read.at, size)
            read.skip(size)
