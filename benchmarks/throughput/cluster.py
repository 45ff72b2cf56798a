"""The Kafka all peers share: topics made and removed, progress asked, outputs read back."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import psutil
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.throughput.catalog import PROJECT, Job, Peer, Setting
from benchmarks.throughput.trades import Expected, Trades
from headrace.avro.registry import subject_of
from headrace.avro.schema import load_schema
from headrace.avro.wire import encode
from headrace.byte_column import ByteColumn
from headrace.kafka.offsets import OffsetQuery
from headrace.kafka.producer import Producer
from headrace.kafka.schema_log import SchemaLog

PARTITIONS = 8
ANSWER_S_MAX = 30.0
SETTLE_S = 1.0
"""A broker says it has made a topic before it leads all its partitions."""

TRADE_SCHEMA = "trade.v1"
SEND_RECORDS = 100_000
READ_RECORDS = 20_000
READ_S_MAX = 60.0
HEADER_BYTES = 5
DIFFERENCES_SHOWN = 3


class Cluster:
    """One broker, asked by clients that are none of the peers'."""

    def __init__(self, bootstrap: str, broker_pid: int, partitions: int = PARTITIONS) -> None:
        self.bootstrap = bootstrap
        self.partitions = partitions
        self.broker = psutil.Process(broker_pid)
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._registry = SchemaLog(bootstrap)

    def schema_path(self, name: str) -> Path:
        """Return the file of a schema."""
        return PROJECT / "schemas" / "avro" / f"{name}.avsc"

    def register(self, topic: str, schema: str) -> int:
        """Return the id of a topic's schema."""
        found = load_schema(PROJECT / "schemas" / "avro", schema)
        return self._registry.register(subject_of(topic), found)

    def create(self, topic: str) -> None:
        """Make a topic of as many partitions as all have here, one copy of each."""
        (future,) = self._admin.create_topics([NewTopic(topic, self.partitions, 1)]).values()
        future.result(ANSWER_S_MAX)
        time.sleep(SETTLE_S)

    def fill(self, topic: str, trades: Trades, schema_id: int) -> None:
        """Write trades into a new topic, each to the partition Java would choose by its key.

        By columns and our own producer: a record at a time took a tenth of `make bench`. What comes
        out is read back by other libraries, which tell what is wrong of what went in as well.
        """
        self.create(topic)
        schema = load_schema(PROJECT / "schemas" / "avro", TRADE_SCHEMA)
        producer = Producer(self.bootstrap, "throughput-feed")
        names = pa.array(trades.names)
        for start in range(0, len(trades), SEND_RECORDS):
            rows = slice(start, start + SEND_RECORDS)
            symbols = names.take(pa.array(trades.symbols[rows]))
            columns = {
                "symbol": symbols,
                "price_ticks": trades.price_ticks[rows],
                "size_lots": trades.size_lots[rows],
                "time_ns": trades.time_ns[rows],
            }
            records = pa.record_batch({name: columns[name] for name in schema.arrow.names})
            keys = ByteColumn(symbols.cast(pa.binary()))
            producer.send(topic, encode(records, schema, schema_id), keys)
        producer.flush()

    def progress(self, peer: Peer, setting: Setting, expected: Expected) -> Callable[[], int]:
        """Return a question: how many input records a run is done with.

        Told by the records in its output. Where those come in transactions, whose markers take
        offsets too, by the input offsets committed with them.
        """
        if peer.guarantee == "exactly_once":
            places = [(setting.input, partition) for partition in range(self.partitions)]
            query = OffsetQuery(self.bootstrap, peer.group(setting))
            return lambda: sum(query.committed(places).values())
        places = [(setting.output, partition) for partition in range(self.partitions)]
        query = OffsetQuery(self.bootstrap)
        return lambda: sum(query.ends(places).values()) * expected.inputs // expected.records

    def fault_of(self, topic: str, job: Job, expected: Expected) -> str:
        """Return in what an output differs from what is expected; nothing if it is right."""
        parsed = fastavro.schema.load_schema(self.schema_path(job.schema))
        count, last = self.read(topic, lambda message: about(message, job, parsed))
        if count != expected.records:
            return f"expected {expected.records:,} records, found {count:,}"
        found = {what: body(value, parsed) for what, value in last.items()}
        differing = [
            f"{what}: expected {expected.last.get(what)}, found {found.get(what)}"
            for what in sorted(expected.last.keys() | found.keys())
            if expected.last.get(what) != found.get(what)
        ]
        return "; ".join(differing[:DIFFERENCES_SHOWN])

    def read(self, topic: str, what_of: Callable[[Any], Any]) -> tuple[int, dict[Any, bytes]]:
        """Return how many records a topic holds that count, and the last value of each thing."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "throughput-check",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "queued.min.messages": 500_000,
                "fetch.wait.max.ms": 50,
            }
        )
        consumer.assign([TopicPartition(topic, number, 0) for number in range(self.partitions)])
        count, last, ended = 0, {}, set()
        heard_at_s = time.monotonic()
        while len(ended) < self.partitions:
            messages = consumer.consume(READ_RECORDS, 0.2)
            if messages:
                heard_at_s = time.monotonic()
            elif time.monotonic() - heard_at_s > READ_S_MAX:
                raise TimeoutError(f"topic {topic}: not read to its end")
            for message in messages:
                if message.error() is not None:  # the end of a partition
                    ended.add(message.partition())
                    continue
                count += 1
                last[what_of(message)] = message.value()
        consumer.close()
        return count, last

    def forget(self, group: str) -> None:
        """Remove every topic of a run: its output, and what peers made for themselves."""
        topics = self._admin.list_topics(timeout=ANSWER_S_MAX).topics
        mine = [name for name in topics if group in name]
        for future in self._admin.delete_topics(mine).values() if mine else ():
            future.result(ANSWER_S_MAX)


def about(message: Any, job: Job, schema: Any) -> Any:
    """Return what an output is about: its key, or the fields by which the job tells them apart."""
    if not job.parts:
        return message.key().decode()
    record = body(message.value(), schema)
    return tuple(record[name] for name in job.parts)


def body(value: bytes, schema: Any) -> Any:
    """Return the record in a framed value."""
    return fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), schema, None)
