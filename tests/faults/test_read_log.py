"""What the prover reads of a log: every committed record, no aborted one, no marker, to the end."""

from collections.abc import Callable

from confluent_kafka import Producer

from headrace.faults.records import read_log
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.offsets import OffsetQuery


def make_topic(bootstrap: str, name: str) -> None:
    Admin(bootstrap).ensure([TopicPlan(name, 2)])


def in_transaction(producer: Producer, topic: str, values: list[bytes]) -> None:
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)


def values(bootstrap: str, topic: str, start: int = 0) -> list[bytes | None]:
    parts = read_log(bootstrap, {topic: 2}, {(topic, 0): start})
    return [value for part in parts for value in part.values]


def transactional(bootstrap: str, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
    producer.init_transactions(30)
    return producer


def test_committed_records_are_read_and_aborted_ones_are_not(kafka: str) -> None:
    topic = "whole.log.v1"
    make_topic(kafka, topic)
    producer = transactional(kafka, topic)
    ends: list[Callable[[float], None]] = [
        producer.commit_transaction,
        producer.abort_transaction,
        producer.commit_transaction,
    ]
    for end, content in zip(ends, ([b"1", b"2"], [b"lost"], [b"3"]), strict=True):
        in_transaction(producer, topic, content)
        producer.flush(30)
        end(30)

    assert values(kafka, topic) == [b"1", b"2", b"3"]
    assert OffsetQuery(kafka).ends([(topic, 0)])[topic, 0] == 7, "four records and three markers"


def test_a_log_that_ends_in_markers_has_nothing_behind_its_last_record(kafka: str) -> None:
    topic = "whole.markers.v1"
    make_topic(kafka, topic)
    producer = transactional(kafka, topic)
    in_transaction(producer, topic, [b"1"])
    producer.commit_transaction(30)
    in_transaction(producer, topic, [b"lost"])
    producer.flush(30)
    producer.abort_transaction(30)

    assert values(kafka, topic, start=1) == []


def test_an_empty_topic_is_read_to_its_end(kafka: str) -> None:
    make_topic(kafka, "whole.empty.v1")

    assert values(kafka, "whole.empty.v1") == []
