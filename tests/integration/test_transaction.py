"""A transaction's records count together, wherever they go and however soon they are sent."""

from threading import Timer

import pytest
from confluent_kafka import KafkaException

from headrace.errors import FencedError
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.native_producer import NativeProducer
from headrace.kafka.offsets import OffsetQuery
from headrace.kafka.read_all import read_all
from headrace.kafka.transaction import TransactionalProducer

PARTITIONS = 4


def values(bootstrap: str, topic: str) -> set[bytes | None]:
    return {v for part in read_all(bootstrap, {topic: PARTITIONS}) for v in part.values}


def test_a_first_batch_may_name_the_partition_of_each_record(kafka: str) -> None:
    topic = "test.transaction.first.v1"
    Admin(kafka).ensure([TopicPlan(topic, PARTITIONS)])
    producer = TransactionalProducer(kafka, "test", topic)

    producer.send(topic, [b"1", b"2", b"3"], [None] * 3, partitions=[3, 0, 3])
    producer.send(topic, [b"4"], [b"key"])
    producer.send(topic, [b"5"], [b"key"], partition=1)
    producer.commit({}, None)

    assert values(kafka, topic) == {b"1", b"2", b"3", b"4", b"5"}


def test_what_is_aborted_is_taken_out_and_the_next_counts(kafka: str) -> None:
    topic = "test.transaction.aborted.v1"
    Admin(kafka).ensure([TopicPlan(topic, PARTITIONS)])
    producer = TransactionalProducer(kafka, "test", topic)

    producer.send(topic, [b"lost"] * 10_000, [None] * 10_000)
    producer.abort()
    producer.send(topic, [b"kept"], [None])
    producer.commit({}, None)

    assert values(kafka, topic) == {b"kept"}


def test_offsets_are_part_of_it(kafka: str) -> None:
    topic = "test.transaction.stranger.v1"
    Admin(kafka).ensure([TopicPlan(topic, PARTITIONS)])
    producer = TransactionalProducer(kafka, "test", topic)
    query = OffsetQuery(kafka, topic, counts_open=False)

    producer.send(topic, [b"1"], [None], partition=0)
    producer.commit({(topic, 0): 7}, query.metadata())

    assert query.committed([(topic, 0)]) == {(topic, 0): 7}
    query.close()


def test_a_reader_waits_for_what_is_about_to_be_committed(kafka: str) -> None:
    topic = "test.transaction.open.v1"
    Admin(kafka).ensure([TopicPlan(topic, PARTITIONS)])
    producer = TransactionalProducer(kafka, "test", topic)
    query = OffsetQuery(kafka, topic, counts_open=False)
    producer.send(topic, [b"1"], [None], partition=0)
    producer.flush()

    commit = Timer(0.5, producer.commit, ({(topic, 0): 7}, query.metadata()))
    commit.start()

    assert values(kafka, topic) == {b"1"}
    assert query.committed([(topic, 0)]) == {(topic, 0): 7}
    commit.join()
    query.close()


def test_whoever_opens_the_same_name_fences_the_other(kafka: str) -> None:
    topic = "test.transaction.fenced.v1"
    Admin(kafka).ensure([TopicPlan(topic, PARTITIONS)])
    old = TransactionalProducer(kafka, "test", topic)
    old.send(topic, [b"old"], [None], partition=0)
    old.flush()

    new = TransactionalProducer(kafka, "test", topic)
    with pytest.raises(FencedError):
        old.commit({}, None)

    new.send(topic, [b"new"], [None], partition=0)
    new.commit({}, None)
    assert values(kafka, topic) == {b"new"}


def test_a_setting_that_is_none_is_told(kafka: str) -> None:
    with pytest.raises(KafkaException, match="no such setting"):
        NativeProducer({"bootstrap.servers": kafka, "no such setting": 1})
