"""The partitions of a consumer in a queue of their own, read as columns and not as messages."""

import weakref
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError

from headrace.batch import Headers, IntArray
from headrace.byte_column import ByteColumn
from headrace.errors import InvariantError
from headrace.kafka import message_kernels as kernels
from headrace.kafka.fetched import Fetched, Offsets, Place, RawPart
from headrace.kafka.librdkafka import address_of, error_of, handle_of, headers_of, lib

_TIMESTAMP = address_of("rd_kafka_message_timestamp")
_HEADERS = address_of("rd_kafka_message_headers")
_DESTROY = address_of("rd_kafka_message_destroy")

COLUMN_BYTES_MAX = 2**31 - 1
"""What Arrow's 32-bit offsets reach; far above what a consumer fetches ahead."""


class PartitionQueue:
    """Takes over the partitions of a client of confluent_kafka's that it is told of.

    What else the client has to say, above all of rebalances, it still says when it is polled.
    Used by the one thread that polls.
    """

    def __init__(self, client: Client, client_id: str) -> None:
        self._owner = client
        self._client = handle_of(client, client_id)
        self._queue = lib.rd_kafka_queue_new(self._client)
        # Before the client: it would wait for its queues for ever, with whoever lets go of it.
        self._destroy = weakref.finalize(self, lib.rd_kafka_queue_destroy, self._queue)

    def take_over(self, places: Iterable[Place]) -> None:
        """Have the records of these partitions come here, from their next assignment on."""
        for topic, partition in places:
            queue = lib.rd_kafka_queue_get_partition(self._client, topic.encode(), partition)
            lib.rd_kafka_queue_forward(queue, self._queue)
            lib.rd_kafka_queue_destroy(queue)

    def poll(self, records_max: int, timeout_s: float) -> tuple[Fetched, list[KafkaError]]:
        """Return what waits, at most so many records, and what went wrong.

        Waits only if there is nothing.
        """
        messages = np.empty(records_max, np.int64)
        first = lib.rd_kafka_consume_queue(self._queue, round(timeout_s * 1_000))
        if first is None:
            return Fetched(), []
        messages[0] = first
        # A batch that is asked for with a timeout waits until it is full: ask for what is there.
        more = 0
        if records_max > 1:
            more = lib.rd_kafka_consume_batch_queue(
                self._queue, 0, messages[1:].ctypes.data, records_max - 1
            )
        return take(messages[: 1 + max(0, more)])

    def close(self) -> None:
        """Give the queue back; the client is closed after it."""
        self._destroy()


def take(messages: IntArray) -> tuple[Fetched, list[KafkaError]]:
    """Return what lies in the messages at these addresses, and give them back to the library."""
    try:
        return _fetched(messages)
    finally:
        kernels.destroy_messages(messages, _DESTROY)


def _fetched(messages: IntArray) -> tuple[Fetched, list[KafkaError]]:
    count = len(messages)
    words = np.empty((count, kernels.MESSAGE_WORDS), np.int64)
    groups = np.empty((count, 5), np.int64)
    group_of = np.empty(count, np.int64)
    stamps = np.empty(count, np.int64)
    has_headers = np.zeros(count, np.bool_)
    found = kernels.group_messages(
        messages, _TIMESTAMP, _HEADERS, words, groups, group_of, stamps, has_headers
    )
    groups = groups[:found]
    order = np.argsort(group_of, kind="stable")[int(np.count_nonzero(group_of < 0)) :]
    firsts = np.cumsum(groups[:, 2]) - groups[:, 2]
    values = _column(words, group_of, kernels.VALUE, firsts, groups[:, 3])
    keys = _column(words, group_of, kernels.KEY, firsts, groups[:, 4])
    parts = []
    for group, (topic, partition, records, *_) in enumerate(groups.tolist()):
        rows = order[firsts[group] : firsts[group] + records]
        headers: list[Headers] | None = None
        if has_headers[rows].any():
            headers = [headers_of(message) for message in messages[rows].tolist()]
        offsets = words[rows, kernels.OFFSET]
        name = lib.rd_kafka_topic_name(topic).decode()
        parts.append(
            RawPart(name, partition, values[group], keys[group], offsets, stamps[rows], headers)
        )
    if len(order) == count:
        return Fetched(parts), []
    ends, errors = _ends_and_errors(words, group_of, groups)
    return Fetched(parts, ends), errors


def _column(
    words: IntArray, group_of: IntArray, column: int, firsts: IntArray, sizes: IntArray
) -> list[ByteColumn]:
    """Return for each group the values or keys of its records."""
    size = int(sizes.sum())
    if size > COLUMN_BYTES_MAX:
        raise InvariantError(
            f"one poll brought {size} bytes of values; expected at most {COLUMN_BYTES_MAX}: lower "
            "CONSUMER_BYTES_MAX in headrace/limits.py"
        )
    rows = int(np.count_nonzero(group_of >= 0))
    bounds = np.append(firsts, rows)
    data = np.empty(size, np.uint8)
    offsets = np.empty(rows + len(firsts), np.int32)
    is_null = np.empty(rows, np.bool_)
    kernels.gather_bytes(
        words, group_of, column, firsts.copy(), np.cumsum(sizes) - sizes, data, offsets, is_null
    )
    buffer = pa.py_buffer(data)
    found = []
    for group in range(len(firsts)):
        first, end = bounds[group], bounds[group + 1]
        nulls = is_null[first:end]
        mask = (
            pa.py_buffer(np.packbits(~nulls, bitorder="little").tobytes()) if nulls.any() else None
        )
        own = pa.py_buffer(offsets[first + group : end + group + 1])
        array = pa.Array.from_buffers(pa.binary(), int(end - first), [mask, own, buffer])
        found.append(ByteColumn(array))
    return found


def _ends_and_errors(
    words: IntArray, group_of: IntArray, groups: IntArray
) -> tuple[Offsets, list[KafkaError]]:
    """Return which partitions are read to their end, and the errors among these messages."""
    ends: Offsets = {}
    errors = []
    for row in np.flatnonzero(group_of < 0).tolist():
        code, topic, partition = words[row, : kernels.VALUE].tolist()
        if code != KafkaError._PARTITION_EOF:  # noqa: SLF001  (the client's name)
            errors.append(error_of(code))
            continue
        same = np.flatnonzero((groups[:, 0] == topic) & (groups[:, 1] == partition))
        if not len(same) or not (group_of[row:] == same[0]).any():
            place = (lib.rd_kafka_topic_name(topic).decode(), partition)
            ends[place] = int(words[row, kernels.OFFSET])
    return ends, errors
