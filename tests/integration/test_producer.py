"""What a producer sends lands where it was told to, in the order it was given."""

from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.consumer import read_all
from headrace.kafka.producer import Producer

TOPIC = "test.producer.partitions.v1"
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
