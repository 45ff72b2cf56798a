"""What is fetched is what librdkafka reads, whatever is in the log, and over a restart."""

import logging
import random
import time
from typing import Any

import pytest
from confluent_kafka import Consumer as Peer
from confluent_kafka import Producer as Client
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from headrace import limits
from headrace.kafka import config
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.broker import Broker
from headrace.kafka.consumer import Consumer, Rebalance
from headrace.kafka.fetched import Offsets, Place, RawPart
from headrace.kafka.fetcher import Fetcher
from headrace.kafka.offsets import OffsetQuery
from headrace.servers import Servers

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
MIXED = "test.batches.mixed.v1"
PARTITIONS = 2
RECORDS = 400
SILENT = {"logger": logging.getLogger("test.batches")}
SENDING = SILENT | {"compression.type": "lz4", "retry.backoff.ms": 5, "acks": "all"}

Row = tuple[int, bytes | None, bytes | None, int, list[tuple[str, bytes]]]


def rows_of(part: RawPart) -> list[Row]:
    headers = part.headers if part.headers is not None else [[]] * len(part.offsets)
    columns = (part.offsets.tolist(), part.keys, part.values, part.timestamps_ms.tolist())
    return [
        (*row[:4], [(name, bytes(content)) for name, content in row[4]])
        for row in zip(*columns, headers, strict=True)
    ]


def read_to(take: Any, ends: Offsets) -> dict[Place, list[Row]]:
    """Return what is read up to these offsets."""
    found: dict[Place, list[Row]] = {place: [] for place in ends}
    missing = dict(ends)
    for _ in range(600):
        fetched = take(97, 0.1)
        for part in fetched.parts:
            found[part.place] += rows_of(part)
        missing = {
            place: end for place, end in missing.items() if fetched.read_to().get(place, -1) < end
        }
        if not missing:
            return found
    raise AssertionError(f"not read to {missing}")


def peer_rows(kafka: str, starts: Offsets) -> dict[Place, list[Row]]:
    """Return what librdkafka reads from these offsets to where the partitions end."""
    peer = Peer(config.reader(kafka, "test-peer") | {"enable.partition.eof": True})
    peer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
    found: dict[Place, list[Row]] = {place: [] for place in starts}
    ended = set()
    for _ in range(600):
        for message in peer.consume(500, 0.1):
            place = (message.topic(), message.partition())
            if message.error() is not None:  # the end of a partition
                ended.add(place)
                continue
            headers = [(name, bytes(content or b"")) for name, content in message.headers() or []]
            stamp_ms = message.timestamp()[1]
            found[place].append(
                (message.offset(), message.key(), message.value(), stamp_ms, headers)
            )
        if len(ended) == len(starts):
            break
    peer.close()
    assert len(ended) == len(starts)
    return found


def write_mixed(kafka: str) -> None:
    """Write with every codec, with and without keys and headers, and a transaction taken back."""
    chance = random.Random(1)  # noqa: S311  (no secret)
    for codec in CODECS:
        client = Client({"bootstrap.servers": kafka, "compression.type": codec} | SILENT)
        for number in range(RECORDS):
            client.produce(
                MIXED,
                key=chance.choice([None, b"", b"key"]),
                value=chance.choice([None, b"", b"%d" % number * chance.randint(1, 30)]),
                partition=number % PARTITIONS,
                headers=[("name", b"content"), ("", b"")] if number % 7 == 0 else None,
            )
        client.flush(30)
    client = Client(SENDING | {"bootstrap.servers": kafka, "transactional.id": "test-batches"})
    client.init_transactions(30)
    for number in range(4):
        client.begin_transaction()
        for partition in range(PARTITIONS):
            for row in range(30):
                client.produce(MIXED, value=b"%d in %d" % (row, number), partition=partition)
        if number % 2:
            client.flush(30)
            client.abort_transaction(30)
        else:
            client.commit_transaction(30)


def test_it_brings_what_librdkafka_brings(kafka: str) -> None:
    Admin(kafka).ensure([TopicPlan(MIXED, PARTITIONS)])
    write_mixed(kafka)
    places = [(MIXED, partition) for partition in range(PARTITIONS)]
    starts = {place: 3 + place[1] for place in places}
    wanted = peer_rows(kafka, starts)
    ends = OffsetQuery(kafka, counts_open=False).ends(places)

    fetcher = Fetcher(kafka, "test")
    fetcher.start(starts)
    found = read_to(fetcher.take, ends)
    fetcher.start(dict.fromkeys(places, 0))  # anew, from elsewhere
    again = read_to(fetcher.take, ends)
    fetcher.close()

    assert found == wanted
    assert all(again[place][starts[place] :] == wanted[place] for place in places)
    assert all(len(rows) > RECORDS for rows in wanted.values())
    assert fetcher.stable_ends() == ends


def test_at_the_end_of_the_log_records_gather_until_somebody_waits(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = "test.batches.gathered.v1"
    Admin(kafka).ensure([TopicPlan(topic, PARTITIONS)])
    answers = []
    fetch = Broker.fetch

    def counted(broker: Broker, wanted: Any) -> Any:
        answers.append(fetch(broker, wanted))
        return answers[-1]

    monkeypatch.setattr(Broker, "fetch", counted)
    monkeypatch.setattr(limits, "FETCH_GATHER_S_MAX", 600.0)
    fetcher = Fetcher(kafka, "test")
    fetcher.start(dict.fromkeys([(topic, partition) for partition in range(PARTITIONS)], 0))
    fetcher.take(1, 1.0)  # what there is: the ends
    before = len(answers)
    for number in range(20):
        send(kafka, topic, range(number, number + 1))  # acknowledged one by one

    found = read_to(fetcher.take, dict.fromkeys([(topic, p) for p in range(PARTITIONS)], 10))
    fetcher.close()

    assert sum(map(len, found.values())) == 20
    # One was on its way already; it would be one a record.
    assert len(answers) - before <= 4


def test_they_do_not_gather_for_long_where_nobody_waits(kafka: str) -> None:
    """Whoever works off another broker's backlog waits for nothing, and must hear of a halt."""
    topic = "test.batches.unwaited.v1"
    Admin(kafka).ensure([TopicPlan(topic, PARTITIONS)])
    fetcher = Fetcher(kafka, "test")
    fetcher.start(dict.fromkeys([(topic, partition) for partition in range(PARTITIONS)], 0))
    fetcher.take(1, 1.0)  # what there is: the ends
    send(kafka, topic, range(20))

    is_there = fetcher._positions.is_readable
    deadline_s = time.monotonic() + 60
    while not is_there() and time.monotonic() < deadline_s:
        time.sleep(0.05)

    assert is_there()
    fetcher.close()


class Given:
    """What a member was given and what it lost."""

    def __init__(self) -> None:
        self.places: list[Place] = []

    def rebalance(self) -> Rebalance:
        return Rebalance(self.places.extend, self._gone, self._gone)

    def _gone(self, places: Any) -> None:
        self.places = [place for place in self.places if place not in places]


@pytest.fixture
def topic(own_servers: Servers) -> str:
    name = "test.batches.restarted.v1"
    Admin(own_servers.endpoints.kafka).ensure([TopicPlan(name, PARTITIONS)])
    return name


def send(kafka: str, topic: str, numbers: range) -> None:
    client = Client(SENDING | {"bootstrap.servers": kafka})
    for number in numbers:
        client.produce(topic, value=b"%d" % number, partition=number % PARTITIONS)
    assert client.flush(60) == 0


def test_a_member_reads_on_after_the_broker_was_killed(own_servers: Servers, topic: str) -> None:
    kafka = own_servers.endpoints.kafka
    member, given = Consumer(kafka, "test", "test-batches"), Given()
    member.subscribe([topic], given.rebalance())
    send(kafka, topic, range(100))
    for _ in range(600):
        member.poll(10, 0.1)
        if len(given.places) == PARTITIONS:
            break
    member.start(dict.fromkeys(given.places, 0))
    before = read_to(member.poll, dict.fromkeys(given.places, 50))

    own_servers.kill("kafka")
    member.pause([(topic, 0)])
    send(kafka, topic, range(100, 200))
    later = read_to(member.poll, {(topic, 1): 100})
    member.resume([(topic, 0)])
    rest = read_to(member.poll, {(topic, 0): 100})

    assert [row[2] for row in before[topic, 0]] == [b"%d" % n for n in range(0, 100, 2)]
    assert [row[2] for row in later[topic, 1]] == [b"%d" % n for n in range(101, 200, 2)]
    assert [row[2] for row in rest[topic, 0]] == [b"%d" % n for n in range(100, 200, 2)]
    assert member.lag(dict.fromkeys(given.places, 90)) == 20
    member.close()


def test_what_the_log_has_no_longer_is_left_out(own_servers: Servers, topic: str) -> None:
    kafka = own_servers.endpoints.kafka
    send(kafka, topic, range(20))
    admin = AdminClient({"bootstrap.servers": kafka} | SILENT)
    (deleted,) = admin.delete_records([TopicPartition(topic, 0, 4)]).values()
    deleted.result(30)
    member, given = Consumer(kafka, "test", "test-expired"), Given()
    member.subscribe([topic], given.rebalance())
    for _ in range(600):
        member.poll(10, 0.1)
        if len(given.places) == PARTITIONS:
            break
    member.start({(topic, 0): 2})

    (rows,) = read_to(member.poll, {(topic, 0): 10}).values()

    assert [row[0] for row in rows] == list(range(4, 10))
    member.close()
