"""What a producer sends lands where it was told to, in the order it was given."""

import numpy as np
import pytest

from feeds.limits import LINE_BYTES_MAX
from headrace import limits
from headrace.errors import TransientError
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all
from headrace.limits import DETAIL_CHARACTERS_MAX
from headrace.runtime.topics import LOG
from headrace.servers import Servers

TOPIC = "test.producer.partitions.v1"
LARGE = "test.producer.large.v1"
KILLED = "test.producer.killed.v1"
PARTITIONS = 4


def test_records_land_in_the_partitions_they_are_given(kafka: str) -> None:
    Admin(kafka).ensure([TopicPlan(TOPIC, PARTITIONS)])
    chosen = [number * 7 % PARTITIONS for number in range(100)]
    values = [str(number).encode() for number in range(100)]
    producer = Producer(kafka, "test")

    producer.send(TOPIC, values, [b"key"] * 100, partitions=chosen)
    producer.flush()

    found: dict[int, list[bytes | None]] = {}
    for part in read_all(kafka, {TOPIC: PARTITIONS}):
        found.setdefault(part.partition, []).extend(part.values)
    expected = {
        partition: [v for v, p in zip(values, chosen, strict=True) if p == partition]
        for partition in range(PARTITIONS)
    }
    assert found == expected


def test_more_than_the_queue_holds_is_sent_piece_by_piece(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = "test.producer.pieces.v1"
    Admin(kafka).ensure([TopicPlan(topic, PARTITIONS)])
    monkeypatch.setattr(limits, "PRODUCER_RECORDS_MAX", 30)
    monkeypatch.setattr(limits, "FLUSH_TIMEOUT_S", 30.0)
    values = [b"%d" % number for number in range(100)]
    headers = [[("number", value)] for value in values]
    producer = Producer(kafka, "test")

    producer.send(topic, values, values, partitions=[n % 2 for n in range(100)], headers=headers)
    producer.flush()

    found = {part.partition: part for part in read_all(kafka, {topic: PARTITIONS})}
    assert {n: list(part.values) for n, part in found.items()} == {0: values[::2], 1: values[1::2]}
    assert found[1].headers == headers[1::2]


def test_a_record_as_large_as_a_frame_may_be_is_written_with_its_dead_letter(kafka: str) -> None:
    Admin(kafka).ensure([TopicPlan(LARGE, 1, LOG)])
    # Random bytes: compression must not make it small.
    value = np.random.default_rng(1).bytes(LINE_BYTES_MAX)
    producer = Producer(kafka, "test")

    producer.send(LARGE, [value], [b"key"])
    producer.send(LARGE, [value], [b"key"], headers=[[("detail", b"x" * DETAIL_CHARACTERS_MAX)]])
    producer.flush()

    values = [found for part in read_all(kafka, {LARGE: 1}) for found in part.values]
    assert values == [value, value]


def test_each_record_is_in_the_log_once_though_the_broker_was_killed(own_servers: Servers) -> None:
    kafka = own_servers.endpoints.kafka
    Admin(kafka).ensure([TopicPlan(KILLED, PARTITIONS)])
    producer = Producer(kafka, "test")
    sent: dict[int, list[bytes | None]] = {partition: [] for partition in range(PARTITIONS)}
    for number in range(400):
        value = b"%d" % number
        producer.send(KILLED, [value], [None], partition=number % PARTITIONS)
        sent[number % PARTITIONS].append(value)
        if number % 7 == 0:
            producer.push()
        if number == 200:
            own_servers.kill("kafka")

    producer.flush()

    found: dict[int, list[bytes | None]] = {}
    for part in read_all(kafka, {KILLED: PARTITIONS}):
        found.setdefault(part.partition, []).extend(part.values)
    assert found == sent


def test_a_topic_that_is_none_is_told(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT_S", 2.0)
    producer = Producer(kafka, "test")

    producer.send("test.producer.none.v1", [b"1"], [None], partition=0)
    with pytest.raises(TransientError, match="create it with"):
        producer.flush()
    with pytest.raises(TransientError, match="create it with"):
        producer.send("test.producer.none.v1", [b"1"], [b"key"])
