"""A transaction's records count together, wherever they go and however soon they are sent."""

import struct
from threading import Timer
from typing import Any

import pytest
from confluent_kafka import KafkaError

from headrace.errors import AbortedError, FencedError
from headrace.kafka import produce_wire as wire
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.broker import Broker
from headrace.kafka.failure import Failure
from headrace.kafka.offsets import OffsetQuery
from headrace.kafka.protocol import Kind
from headrace.kafka.read_all import read_all
from headrace.kafka.sender import Sender
from headrace.kafka.transaction import TransactionalProducer
from headrace.servers import Servers

PARTITIONS = 4


def opened(bootstrap: str, topic: str) -> TransactionalProducer:
    """Return a producer of the topic's own name; the topic is made."""
    Admin(bootstrap).ensure([TopicPlan(topic, PARTITIONS)])
    return TransactionalProducer(bootstrap, "test", topic)


def values(bootstrap: str, topic: str) -> set[bytes | None]:
    return {v for part in read_all(bootstrap, {topic: PARTITIONS}) for v in part.values}


def test_a_first_batch_may_name_the_partition_of_each_record(kafka: str) -> None:
    topic = "test.transaction.first.v1"
    producer = opened(kafka, topic)

    producer.send(topic, [b"1", b"2", b"3"], [None] * 3, partitions=[3, 0, 3])
    producer.send(topic, [b"4"], [b"key"])
    producer.send(topic, [b"5"], [b"key"], partition=1)
    producer.commit({}, None)

    assert values(kafka, topic) == {b"1", b"2", b"3", b"4", b"5"}


def test_what_is_aborted_is_taken_out_and_the_next_counts(kafka: str) -> None:
    topic = "test.transaction.aborted.v1"
    producer = opened(kafka, topic)

    producer.send(topic, [b"lost"] * 10_000, [None] * 10_000)
    producer.abort()
    producer.send(topic, [b"kept"], [None])
    producer.commit({}, None)

    assert values(kafka, topic) == {b"kept"}


def test_offsets_are_part_of_it(kafka: str) -> None:
    topic = "test.transaction.stranger.v1"
    producer = opened(kafka, topic)
    query = OffsetQuery(kafka, topic, counts_open=False)

    producer.send(topic, [b"1"], [None], partition=0)
    producer.commit({(topic, 0): 7}, query.metadata())

    assert query.committed([(topic, 0)]) == {(topic, 0): 7}
    query.close()


def test_a_reader_waits_for_what_is_about_to_be_committed(kafka: str) -> None:
    topic = "test.transaction.open.v1"
    producer = opened(kafka, topic)
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


def test_a_transaction_outlives_the_broker_it_began_with(own_servers: Servers) -> None:
    kafka, topic = own_servers.endpoints.kafka, "test.transaction.killed.v1"
    producer = opened(kafka, topic)
    query = OffsetQuery(kafka, topic, counts_open=False)
    producer.send(topic, [b"1"], [None], partition=0)
    producer.flush()

    own_servers.kill("kafka")
    producer.send(topic, [b"2"], [None], partition=1)
    producer.commit({(topic, 0): 7}, query.metadata())

    assert values(kafka, topic) == {b"1", b"2"}
    assert query.committed([(topic, 0)]) == {(topic, 0): 7}
    query.close()


def test_a_commit_that_was_heard_is_not_done_twice(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = "test.transaction.unheard.v1"
    producer = opened(kafka, topic)
    ask, lost = Broker.ask, []

    def lose_the_first(broker: Broker, kind: Kind, body: bytes, wait_ms: int = 0) -> Any:
        answer = ask(broker, kind, body, wait_ms)
        if kind == wire.END_TRANSACTION and not lost:
            lost.append(body)
            raise ConnectionError("the answer is lost")
        return answer

    monkeypatch.setattr(Broker, "ask", lose_the_first)
    producer.send(topic, [b"1"], [None])
    producer.commit({}, None)
    producer.send(topic, [b"2"], [None])
    producer.commit({}, None)

    assert len(lost) == 1
    assert values(kafka, topic) == {b"1", b"2"}


def test_what_was_given_up_is_aborted_and_done_again(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = "test.transaction.late.v1"
    producer = opened(kafka, topic)
    producer.send(topic, [b"1"], [None])

    with monkeypatch.context() as patch:
        late = Failure(KafkaError.REQUEST_TIMED_OUT, (topic, 0), 1)
        patch.setattr(Sender, "take_failure", lambda _: late)
        with pytest.raises(AbortedError):
            producer.commit({}, None)
    producer.send(topic, [b"2"], [None])
    producer.commit({}, None)

    assert values(kafka, topic) == {b"2"}


def test_a_commit_without_anything_to_commit_is_none(kafka: str) -> None:
    producer = TransactionalProducer(kafka, "test", "test.transaction.empty.v1")

    producer.begin()
    producer.commit({}, None)
    producer.begin()
    producer.abort()


def test_a_member_that_is_none_any_more_commits_nothing(kafka: str) -> None:
    topic = "test.transaction.member.v1"
    producer = opened(kafka, topic)
    gone = b"CGMDv2:" + struct.pack("=i", 3) + topic.encode() + b"\0somebody\0\1"

    producer.send(topic, [b"1"], [None])
    with pytest.raises(AbortedError):
        producer.commit({(topic, 0): 7}, gone)
    producer.send(topic, [b"2"], [None])
    producer.commit({}, None)

    assert values(kafka, topic) == {b"2"}
