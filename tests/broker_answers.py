"""Good answers of a broker, each as it comes: its number first, then what it says."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.kafka import fetch_wire, produce_wire
from headrace.kafka.broker import Heard
from headrace.kafka.protocol import NO_TAGS, compact, count, text

NUMBER = struct.pack(">i", 7)
HELD_BACK = struct.pack(">i", 0)
_COMPACT = NUMBER + NO_TAGS + HELD_BACK


def leaders(topic: str = "test.number.v1") -> bytes:
    """Return who leads two partitions of a topic, and that another does not exist."""
    broker = struct.pack(">i", 1) + text("localhost") + struct.pack(">i", 9092) + text("rack")
    lists = struct.pack(">iiiii", 1, 1, 1, 1, 0)  # replicas: all, in sync, away
    partitions = b"".join(struct.pack(">hiii", 0, n, 1, 4) + lists for n in range(2))
    topics = struct.pack(">h", 0) + text(topic) + b"\0" + struct.pack(">i", 2) + partitions
    missing = struct.pack(">h", 3) + text("missing") + b"\0" + struct.pack(">i", 0)
    cluster = text("cluster") + struct.pack(">ii", 1, 2)
    return NUMBER + HELD_BACK + struct.pack(">i", 1) + broker + cluster + topics + missing


def fetched(records: bytes = b"records", *, size: int | None = None, aborted: int = 1) -> bytes:
    """Return what there is of one partition; `size` is what the answer says of the records'."""
    taken_back = struct.pack(">i", aborted) + struct.pack(">qq", 9, 12)
    partition = struct.pack(">ihqqq", 3, 0, 20, 19, 0) + taken_back + struct.pack(">i", -1)
    told = struct.pack(">i", len(records) if size is None else size)
    topic = text("test.number.v1") + struct.pack(">i", 1) + partition + told + records
    return NUMBER + HELD_BACK + struct.pack(">hii", 0, 5, 1) + topic


def produced() -> bytes:
    """Return that one batch is in the log, and that one was refused."""
    errors = count(1) + struct.pack(">i", 2) + compact("too old") + NO_TAGS
    good = struct.pack(">ihqqq", 0, 0, 40, -1, 0) + count(0) + compact(None) + NO_TAGS
    bad = struct.pack(">ihqqq", 1, 87, -1, -1, 0) + errors + compact("refused") + NO_TAGS
    topic = compact("test.number.v1") + count(2) + good + bad + NO_TAGS
    return NUMBER + NO_TAGS + count(1) + topic + HELD_BACK + NO_TAGS


def producer(error: int = 0) -> bytes:
    """Return who writes from now on."""
    return _COMPACT + struct.pack(">hqh", error, 4_000, 2) + NO_TAGS


def coordinator(error: int = 0, host: str = "localhost", port: int = 9092) -> bytes:
    """Return who coordinates a group."""
    found = (
        compact("group") + struct.pack(">i", 1) + compact(host) + struct.pack(">ih", port, error)
    )
    return _COMPACT + count(1) + found + compact(None) + NO_TAGS + NO_TAGS


def offsets() -> bytes:
    """Return what became of two partitions' offsets."""
    partitions = b"".join(struct.pack(">ih", n, 14 * n) + NO_TAGS for n in range(2))
    topic = compact("test.number.v1") + count(2) + partitions + NO_TAGS
    return _COMPACT + count(1) + topic + NO_TAGS


def versions(features: dict[str, int], error: int = 0) -> bytes:
    """Return one kind of request the broker knows, and these levels of features."""
    kinds = count(1) + struct.pack(">hhh", 0, 3, 12) + NO_TAGS
    levels = count(len(features)) + b"".join(
        compact(name) + struct.pack(">hh", level, 0) + NO_TAGS for name, level in features.items()
    )
    epoch = struct.pack(">q", 9)
    tags = b"\2" + b"\1" + bytes([len(epoch)]) + epoch + b"\2" + bytes([len(levels)]) + levels
    return NUMBER + struct.pack(">h", error) + kinds + HELD_BACK + tags


def answers_in(answer: memoryview) -> list[fetch_wire.Answer]:
    """Return what an answer of a new session says of each partition."""
    return list(fetch_wire.answers_in(answer, fetch_wire.Session()))


READERS: Sequence[tuple[Callable[[memoryview], Any], bytes]] = (
    (fetch_wire.leaders_in, leaders()),
    (answers_in, fetched()),
    (produce_wire.errors_of_produce, produced()),
    (produce_wire.producer_in, producer()),
    (produce_wire.coordinator_in, coordinator()),
    (produce_wire.errors_of_offsets, offsets()),
    (produce_wire.features_in, versions({"metadata.version": 29, "transaction.version": 2})),
)


def heard(content: bytes) -> Heard:
    """Return an answer as a connection gives it."""
    return Heard(np.frombuffer(content, np.uint8), len(content))
