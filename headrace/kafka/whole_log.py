"""Reads topics from an offset to their very end, aborted records and control markers left out."""

from collections.abc import Mapping
from time import monotonic

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, Message, TopicPartition

from headrace import limits
from headrace.errors import TransientError
from headrace.kafka import config
from headrace.kafka.consumer import Offsets, RawPart
from headrace.kafka.producer import _log_error, _Quiet

Whole = dict[tuple[str, int], RawPart]
"""The records of each partition, by topic and number."""

STUCK_S_MAX = 60.0
"""A partition that gives nothing for so long does not come to its end."""


def read_whole(bootstrap: str, topics: Mapping[str, int], starts: Offsets | None = None) -> Whole:
    """Return what readers of committed records see of these topics, given with partition counts.

    Counting offsets is no substitute: a transaction's marker takes one too.
    Raises:  TransientError if a partition does not come to its end.
    """
    wanted = [
        TopicPartition(topic, partition, (starts or {}).get((topic, partition), 0))
        for topic, count in topics.items()
        for partition in range(count)
    ]
    client = Client(
        config.consumer(bootstrap, "headrace-whole-log", "headrace-whole-log")
        | {"enable.partition.eof": True, "error_cb": _log_error, "logger": _Quiet()}
    )
    try:
        client.assign(wanted)
        return _read(client, {(place.topic, place.partition) for place in wanted})
    finally:
        client.close()


def _read(client: Client, unfinished: set[tuple[str, int]]) -> Whole:
    found = {place: RawPart(*place) for place in sorted(unfinished)}
    moved_at = monotonic()
    while unfinished:
        messages = client.consume(limits.BATCH_RECORDS_MAX, 0.5)
        for message in messages:
            place = (message.topic(), message.partition())
            error = message.error()
            if error is None:
                _add(found[place], message)
                moved_at = monotonic()
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  (the client's name)
                unfinished.discard(place)
                moved_at = monotonic()
        if monotonic() - moved_at > STUCK_S_MAX:
            names = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(unfinished))
            raise TransientError(f"no end within {STUCK_S_MAX} s: {names}")
    return found


def _add(part: RawPart, message: Message) -> None:
    part.values.append(message.value())
    part.keys.append(message.key())
    part.offsets.append(message.offset())
    part.timestamps_ms.append(message.timestamp()[1])
