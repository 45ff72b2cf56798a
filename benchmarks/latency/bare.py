"""One bare hop: librdkafka's messages read and written again, nothing else."""

import sys

from confluent_kafka import Consumer, Producer, TopicPartition

from headrace import limits
from headrace.kafka import config
from headrace.kafka.offsets import OffsetQuery

RECORDS_MAX = 8_192
FETCHING = {
    "enable.partition.eof": True,
    "queued.max.messages.kbytes": limits.CONSUMER_BYTES_MAX // 1024,
    "queued.min.messages": 50_000,
    "fetch.message.max.bytes": 4 * 2**20,
    "fetch.queue.backoff.ms": 5,
    "fetch.wait.max.ms": limits.FETCH_WAIT_MS,
    "check.crcs": True,
}
"""Of librdkafka's ways to fetch the one that goes without waiting, in amounts as ours."""

SENDING = {
    "acks": "all",
    "enable.idempotence": True,
    "compression.type": "lz4",
    "linger.ms": 0.5,
    "batch.num.messages": limits.BATCH_RECORDS_MAX,
    "batch.size": 2**20,
    "partitioner": "murmur2_random",
}
"""What ours promises, and no waiting for more: what was read is handed over in one call."""

PARTITIONS = 8


def pass_on(bootstrap: str, source: str, target: str) -> None:
    """Write to one topic what is read of another from now on, with our client's settings."""
    consumer = Consumer(config.reader(bootstrap, f"bare-{source}") | FETCHING)
    ends = OffsetQuery(bootstrap).ends([(source, partition) for partition in range(PARTITIONS)])
    consumer.assign([TopicPartition(*place, end) for place, end in ends.items()])
    producer = Producer(config.client(bootstrap, f"bare-{target}") | SENDING)
    while True:
        first = consumer.poll(0.05)
        if first is None:
            continue
        batch = [
            {"value": message.value(), "key": message.key()}
            for message in [first, *consumer.consume(RECORDS_MAX, 0)]
            if message.error() is None
        ]
        producer.produce_batch(target, batch)
        producer.poll(0)


if __name__ == "__main__":
    pass_on(*sys.argv[1:])
