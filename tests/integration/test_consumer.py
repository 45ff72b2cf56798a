"""What a reader brings as columns is what lies in the log: empty, missing and tagged items too."""

import subprocess
import sys

import pyarrow as pa

from headrace.byte_column import ByteColumn
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.consumer import Reader
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all

ODD = "test.consumer.odd.v1"
MANY = "test.consumer.many.v1"
LEFT = "test.consumer.left.v1"
AGAIN = "test.consumer.again.v1"
PARTITIONS = 3


def test_values_keys_and_headers_come_as_they_were_sent(kafka: str) -> None:
    Admin(kafka).ensure([TopicPlan(ODD, 1)])
    values = [b"", None, b"\x00" * 3, b"x", "ü".encode() * 1_000]
    keys = [None, b"", b"k", b"a\x00b", b"k"]
    headers = [[], [("h", b"1"), ("h", b"2")], [], [("ü", b"\x00\xff")], []]
    producer = Producer(kafka, "test")

    producer.send(ODD, values, keys)
    producer.send(ODD, values, keys, headers=headers)
    producer.flush()

    (part,) = read_all(kafka, {ODD: 1})
    assert list(part.values) == values * 2
    assert list(part.keys) == keys * 2
    assert part.offsets.tolist() == list(range(10))
    assert part.headers is not None
    assert [list(found) for found in part.headers] == [[]] * 5 + headers
    tail = part.take(part.offsets[6:8])
    assert (list(tail.values), list(tail.keys)) == (values[1:3], keys[1:3])


def test_each_partition_keeps_its_order_through_polls_of_any_size(kafka: str) -> None:
    Admin(kafka).ensure([TopicPlan(MANY, PARTITIONS)])
    numbers = [str(number).encode() for number in range(5_000)]
    column = ByteColumn(pa.array(numbers, pa.binary()))
    chosen = [number * 7 % PARTITIONS for number in range(len(numbers))]
    producer = Producer(kafka, "test")
    producer.send(MANY, column, column[::1], partitions=chosen)
    producer.flush()
    reader = Reader(kafka, "test")
    reader.assign({(MANY, partition): partition for partition in range(PARTITIONS)})
    found: dict[int, list[bytes | None]] = {partition: [] for partition in range(PARTITIONS)}
    ends: dict[tuple[str, int], int] = {}

    for size in [1, 2, 3, 50, *[701] * 100]:
        fetched = reader.poll(size, 0.5)
        assert sum(len(part.values) for part in fetched.parts) <= size
        for part in fetched.parts:
            assert len(part.values) == len(part.keys) == len(part.offsets)
            found[part.partition].extend(part.values)
        ends |= fetched.ends
        if len(ends) == PARTITIONS:
            break
    reader.close()

    for partition, got in found.items():
        sent = [v for v, chosen_one in zip(numbers, chosen, strict=True) if chosen_one == partition]
        assert got == sent[partition:]
        assert ends[MANY, partition] == len(sent)


def test_what_is_assigned_again_is_read_as_well_as_what_is_new(kafka: str) -> None:
    Admin(kafka).ensure([TopicPlan(AGAIN, PARTITIONS)])
    producer, reader = Producer(kafka, "test"), Reader(kafka, "test")
    for left_out in (0, 1, 2):
        places = {(AGAIN, p): 0 for p in range(PARTITIONS) if p != left_out}
        reader.assign(places)
    producer.send(AGAIN, [b"value"] * 30, [b"key"] * 30, partitions=[n % 3 for n in range(30)])
    producer.flush()

    found = dict.fromkeys(places, 0)
    for _ in range(100):
        for part in reader.poll(100, 0.1).parts:
            found[part.place] += len(part.offsets)
        if all(found.values()):
            break
    reader.close()

    assert found == {(AGAIN, 0): 10, (AGAIN, 1): 10}


def test_a_reader_nobody_closes_does_not_keep_its_process(kafka: str) -> None:
    Admin(kafka).ensure([TopicPlan(LEFT, 1)])
    program = f"""
from headrace.kafka.consumer import Reader
left = Reader({kafka!r}, "left")
left.assign({{({LEFT!r}, 0): 0}})
left.poll(10, 0.5)
dropped = Reader({kafka!r}, "dropped")
del dropped
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)

    assert ended.returncode == 0
