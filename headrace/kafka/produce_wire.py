"""Requests that write to a log, and those a transaction takes, with their answers.

Source:  Kafka's protocol guide: Produce 12, InitProducerId 5, FindCoordinator 4, TxnOffsetCommit 5,
         EndTxn 5, ApiVersions 3. With these a record's own request makes its partition part of the
         transaction, and each transaction has an epoch of its own (KIP-890, transaction.version 2).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from headrace import limits
from headrace.errors import InvariantError
from headrace.kafka.fetch_wire import Address
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.protocol import NO_TAGS, Kind, Reader, by_topic, compact, count

PRODUCE = Kind(0, 12, is_compact=True)
FIND_COORDINATOR = Kind(10, 4, is_compact=True)
API_VERSIONS = Kind(18, 3, is_compact=True)
INIT_PRODUCER = Kind(22, 5, is_compact=True)
END_TRANSACTION = Kind(26, 5, is_compact=True)
COMMIT_OFFSETS = Kind(28, 5, is_compact=True)

GROUP, TRANSACTION = 0, 1
"""What a coordinator keeps."""

_ALL_REPLICAS = -1
_NO_EPOCH = -1
_COMPACT_BEGIN = 5
_OLDER_BEGIN = 4
_FINALIZED_FEATURES = 2


class Producer(NamedTuple):
    """Who writes: an id the cluster gave, and since when."""

    number: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Member:
    """Who commits offsets of a group: a member, or a stranger to it, of generation -1."""

    group: str
    generation: int
    name: str
    instance: str | None


class Found(NamedTuple):
    """Who coordinates, if there is no error."""

    error: int
    address: Address


def produce_body(transactional_id: str | None, batches: Mapping[Place, memoryview]) -> bytes:
    """Return the request to append a record batch to each partition."""
    topics = by_topic(batches)
    wait_ms = round(limits.REQUEST_TIMEOUT_S * 1_000)
    parts: list[bytes | memoryview] = [
        compact(transactional_id),
        struct.pack(">hi", _ALL_REPLICAS, wait_ms),
    ]
    parts.append(count(len(topics)))
    for topic, written in topics.items():
        parts += [compact(topic), count(len(written))]
        for partition, batch in written:
            parts += [struct.pack(">i", partition), count(len(batch)), batch, NO_TAGS]
        parts.append(NO_TAGS)
    return b"".join([*parts, NO_TAGS])


def errors_of_produce(answer: memoryview) -> dict[Place, int]:
    """Return what the broker says of each partition: 0 if the batch is in the log."""
    read = Reader(answer, _COMPACT_BEGIN)
    errors: dict[Place, int] = {}

    def partition_of(topic: str) -> None:
        partition = read.int32()
        errors[topic, partition] = read.int16()
        read.skip(24)  # the first offset, the log's time, where the log begins
        read.items(record_error)
        read.compact()
        read.tags()

    def record_error() -> None:
        read.skip(4)
        read.compact()
        read.tags()

    def topic() -> None:
        name = read.compact() or ""
        read.items(lambda: partition_of(name))
        read.tags()

    read.items(topic)
    return errors


def init_body(transactional_id: str | None) -> bytes:
    """Return the question for a producer's id; a transactional one ends what its name left open."""
    timeout_ms = limits.TRANSACTION_TIMEOUT_MS
    return compact(transactional_id) + struct.pack(">iqh", timeout_ms, -1, _NO_EPOCH) + NO_TAGS


def producer_in(answer: memoryview) -> tuple[int, Producer]:
    """Return an error, and if it is 0 who writes from now on: of `init_body` and `end_body`."""
    read = Reader(answer, _COMPACT_BEGIN)
    read.skip(4)  # how long it was held back
    return read.int16(), Producer(read.int64(), read.int16())


def find_body(what: int, name: str) -> bytes:
    """Return the question who coordinates a group or a transaction."""
    return struct.pack(">b", what) + count(1) + compact(name) + NO_TAGS


def coordinator_in(answer: memoryview) -> Found:
    """Return what an answer to `find_body` says."""
    read = Reader(answer, _COMPACT_BEGIN)
    read.skip(4)

    def found() -> Found:
        read.compact()
        read.int32()
        host, port = read.compact() or "", read.int32()
        error = read.int16()
        read.compact()
        read.tags()
        return Found(error, Address(host, port))

    answers = read.items(found)
    if len(answers) != 1:
        raise ConnectionError(f"{len(answers)} coordinators of one name")
    return answers[0]


def offsets_body(
    transactional_id: str, producer: Producer, member: Member, offsets: Offsets
) -> bytes:
    """Return the request to make offsets part of a transaction."""
    topics = by_topic(offsets)
    parts = [
        compact(transactional_id),
        compact(member.group),
        struct.pack(">qhi", *producer, member.generation),
        compact(member.name),
        compact(member.instance),
        count(len(topics)),
    ]
    for topic, told in topics.items():
        parts += [compact(topic), count(len(told))]
        for partition, offset in told:
            parts += [struct.pack(">iqi", partition, offset, _NO_EPOCH), compact(""), NO_TAGS]
        parts.append(NO_TAGS)
    return b"".join([*parts, NO_TAGS])


def errors_of_offsets(answer: memoryview) -> dict[Place, int]:
    """Return what the coordinator says of each partition's offset."""
    read = Reader(answer, _COMPACT_BEGIN)
    read.skip(4)
    errors: dict[Place, int] = {}

    def partition_of(topic: str) -> None:
        partition = read.int32()
        errors[topic, partition] = read.int16()
        read.tags()

    def topic() -> None:
        name = read.compact() or ""
        read.items(lambda: partition_of(name))
        read.tags()

    read.items(topic)
    return errors


def end_body(transactional_id: str, producer: Producer, *, is_commit: bool) -> bytes:
    """Return the request to end a transaction."""
    return compact(transactional_id) + struct.pack(">qh?", *producer, is_commit) + NO_TAGS


def versions_body() -> bytes:
    """Return the question what a cluster can do."""
    return compact("headrace") + compact("1") + NO_TAGS


def features_in(answer: memoryview) -> dict[str, int]:
    """Return by name the level of each feature the cluster has agreed on."""
    read = Reader(answer, _OLDER_BEGIN)  # of this request alone, even where it is compact
    if error := read.int16():
        raise ConnectionError(f"the broker does not say what it can do: error {error}")

    def kind() -> None:
        read.skip(6)
        read.tags()

    read.items(kind)
    read.skip(4)
    tagged = read.tags().get(_FINALIZED_FEATURES)
    if tagged is None:
        return {}

    def feature() -> tuple[str, int]:
        name, level = tagged.compact() or "", tagged.int16()
        tagged.skip(2)
        tagged.tags()
        return name, level

    return dict(tagged.items(feature))


_MEMBER_MAGIC = b"CGMDv2:"


def member_of(metadata: bytes) -> Member:
    """Return who a member is, from the client's own form of it.

    Raises:  InvariantError if the client has another form.
    Source:  librdkafka, `rd_kafka_consumer_group_metadata_write`.
    """
    magic, rest = metadata[: len(_MEMBER_MAGIC)], metadata[len(_MEMBER_MAGIC) :]
    try:
        (generation,) = struct.unpack_from("=i", rest)
        group, name, last = rest[4:].split(b"\0", 2)
        instance = None if last[0] else last[1:-1].decode()
    except (struct.error, ValueError, IndexError) as error:
        raise InvariantError(f"a group's metadata cannot be read: {metadata!r}") from error
    if magic != _MEMBER_MAGIC:
        raise InvariantError(f"a group's metadata: expected {_MEMBER_MAGIC!r}, found {magic!r}")
    return Member(group.decode(), generation, name.decode(), instance)
