"""librdkafka's producer, given columns: one call a batch, and no object a record.

Raises what confluent_kafka's own producer raises; used by one thread at a time.
"""

import ctypes
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

import numpy as np
import pyarrow as pa
import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from headrace.batch import Headers, IntArray
from headrace.kafka.librdkafka import (
    ANY_PARTITION,
    COPY_MESSAGES,
    DELIVERY_REPORT_EVENT,
    ERROR,
    ERROR_EVENT,
    ERROR_TEXT_BYTES,
    KEY,
    LOG_EVENT,
    MESSAGE_WORDS,
    PRODUCER,
    VALUE,
    error_of,
    fatal_error_of,
    lib,
    produce_with_headers,
    take_error,
)

log = structlog.get_logger(__name__)

FLUSH_SLICE_S = 0.05
"""How often a flush looks for reports: librdkafka counts a failed record until they are read."""

EVENTS_MAX = 1_000
"""Events served at a time: a broker that is away must not keep whoever sends."""

SERVE_S = 0.02
"""How long the thread that serves an abort waits for an event."""


class NativeProducer:
    """A client that queues columns of records; `failed` gathers those that were not delivered."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.failed: list[KafkaError] = []
        self._client = _open(settings)
        self._events = lib.rd_kafka_queue_get_main(self._client)
        self._topics: dict[str, int] = {}
        weakref.finalize(self, _close, self._client, self._events, self._topics).atexit = False

    def __len__(self) -> int:
        """Return how many records are not acknowledged yet."""
        return int(lib.rd_kafka_outq_len(self._client))

    def queue(
        self,
        topic: str,
        values: pa.BinaryArray,
        keys: pa.BinaryArray,
        partitions: IntArray | int | None,
    ) -> None:
        """Queue records in this order; one partition for all, one for each, or by their keys.

        Raises:  KafkaException for the first that was refused.
        """
        count = len(values)
        messages = np.zeros((count, MESSAGE_WORDS), np.int64)
        # What the addresses point to has to live until the call is over: it is copied in it.
        alive = (
            _point(messages, VALUE, values),
            _point(messages, KEY, keys),
        )
        if partitions is None or isinstance(partitions, int):
            self._queue(topic, messages, ANY_PARTITION if partitions is None else partitions)
        else:
            # Not by the call that takes a partition with each record: while it does not know the
            # topic yet, librdkafka makes "no partition" part of the transaction, which then fails.
            first = int(partitions[0])
            if (partitions == first).all():
                self._queue(topic, messages, first)
            else:
                order = np.argsort(partitions, kind="stable")
                numbers, firsts = np.unique(partitions[order], return_index=True)
                runs = np.split(messages[order], firsts[1:])
                for number, run in zip(numbers.tolist(), runs, strict=True):
                    self._queue(topic, run, number)
        del alive

    def _queue(self, topic: str, messages: IntArray, partition: int) -> None:
        queued: int = lib.rd_kafka_produce_batch(
            self._topic(topic), partition, COPY_MESSAGES, messages.ctypes.data, len(messages)
        )
        if queued != len(messages):
            codes = messages[:, ERROR].astype(np.int32)
            raise KafkaException(self._cause(error_of(int(codes[codes != 0][0]))))

    def queue_with_headers(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers,
        partition: int,
    ) -> None:
        """Queue one record that has headers; partition -1 is the one of its key.

        Raises:  KafkaException if it is refused.
        """
        error = produce_with_headers(self._client, (topic, partition), value, key, headers)
        if error is not None:
            raise KafkaException(self._cause(error))

    def poll(self, timeout_s: float) -> None:
        """Take what the client has to say: reports of failed records, errors, its log.

        Raises:  KafkaException if the client cannot go on.
        """
        for _ in range(EVENTS_MAX):
            if not self._serve_event(timeout_s):
                break
            timeout_s = 0.0
        fatal = fatal_error_of(self._client)
        if fatal is not None:
            raise KafkaException(fatal)

    def flush(self, timeout_s: float) -> int:
        """Wait until all records are acknowledged or failed; return how many are neither."""
        deadline = monotonic() + timeout_s
        while len(self) and monotonic() < deadline:
            lib.rd_kafka_flush(self._client, round(FLUSH_SLICE_S * 1_000))
            self.poll(0)
        return len(self)

    # Transactions.

    def init_transactions(self, timeout_s: float) -> None:
        """Get the name's next epoch; what an earlier owner left open is ended."""
        self._check(lib.rd_kafka_init_transactions(self._client, round(timeout_s * 1_000)))

    def begin_transaction(self) -> None:
        """Open a transaction."""
        self._check(lib.rd_kafka_begin_transaction(self._client))

    def send_offsets_to_transaction(
        self, offsets: Sequence[TopicPartition], group: bytes, timeout_s: float
    ) -> None:
        """Make offsets of a group part of the transaction; `group` is the member's metadata."""
        member = ctypes.c_void_p()
        self._check(
            lib.rd_kafka_consumer_group_metadata_read(ctypes.byref(member), group, len(group))
        )
        wanted = lib.rd_kafka_topic_partition_list_new(len(offsets))
        try:
            for place in offsets:
                name = place.topic.encode()
                lib.rd_kafka_topic_partition_list_add(wanted, name, place.partition)
                lib.rd_kafka_topic_partition_list_set_offset(
                    wanted, name, place.partition, place.offset
                )
            self._check(
                lib.rd_kafka_send_offsets_to_transaction(
                    self._client, wanted, member, round(timeout_s * 1_000)
                )
            )
        finally:
            lib.rd_kafka_topic_partition_list_destroy(wanted)
            lib.rd_kafka_consumer_group_metadata_destroy(member)

    def commit_transaction(self, timeout_s: float) -> None:
        """Commit; everything must have been flushed."""
        self._check(lib.rd_kafka_commit_transaction(self._client, round(timeout_s * 1_000)))

    def abort_transaction(self, timeout_s: float) -> None:
        """Abort; what was queued is taken out, and reported as failed."""
        with self._served():
            self._check(lib.rd_kafka_abort_transaction(self._client, round(timeout_s * 1_000)))

    @contextmanager
    def _served(self) -> Iterator[None]:
        """Read reports meanwhile: an abort waits for those of what it takes out of the queue."""
        ending = threading.Event()

        def serve() -> None:
            while not ending.is_set():
                self._serve_event(SERVE_S)

        thread = threading.Thread(target=serve, name="serve-abort")
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def _check(self, error: int | None) -> None:
        found = take_error(error)
        if found is not None:
            raise KafkaException(self._cause(found))

    def _cause(self, error: KafkaError) -> KafkaError:
        """Return why the client cannot go on, where that is what an error says."""
        fatal = fatal_error_of(self._client)
        return error if fatal is None else fatal

    def _serve_event(self, timeout_s: float) -> bool:
        """Take the next thing the client has to say; return whether there was one in time."""
        event = lib.rd_kafka_queue_poll(self._events, round(timeout_s * 1_000))
        if event is None:
            return False
        try:
            self._take(event)
        finally:
            lib.rd_kafka_event_destroy(event)
        return True

    def _take(self, event: int) -> None:
        kind = lib.rd_kafka_event_type(event)
        if kind == DELIVERY_REPORT_EVENT:
            count = lib.rd_kafka_event_message_count(event)
            messages = np.zeros(count, np.int64)
            lib.rd_kafka_event_message_array(event, messages.ctypes.data, count)
            codes = [ctypes.c_int.from_address(message).value for message in messages.tolist()]
            self.failed += [error_of(code) for code in codes if code]
        elif kind == ERROR_EVENT:
            text = lib.rd_kafka_event_error_string(event) or b""
            log.warning("kafka_connection", error=text.decode(errors="replace"))
        elif kind == LOG_EVENT:
            facility, text, level = ctypes.c_char_p(), ctypes.c_char_p(), ctypes.c_int()
            lib.rd_kafka_event_log(
                event, ctypes.byref(facility), ctypes.byref(text), ctypes.byref(level)
            )
            # It repeats every refused connection many times a second.
            said = (text.value or b"").decode(errors="replace")
            log.debug("librdkafka", level=level.value, text=said)

    def _topic(self, name: str) -> int:
        found = self._topics.get(name)
        if found is None:
            found = lib.rd_kafka_topic_new(self._client, name.encode(), None)
            if found is None:
                raise KafkaException(KafkaError(KafkaError._INVALID_ARG, f"topic {name!r}"))  # noqa: SLF001  (the client's name)
            self._topics[name] = found
        return found


def _open(settings: Mapping[str, Any]) -> int:
    text = ctypes.create_string_buffer(ERROR_TEXT_BYTES)
    conf = lib.rd_kafka_conf_new()
    for name, value in {**settings, "log.queue": True}.items():
        written = str(value).lower() if isinstance(value, bool) else str(value)
        if lib.rd_kafka_conf_set(conf, name.encode(), written.encode(), text, ERROR_TEXT_BYTES):
            lib.rd_kafka_conf_destroy(conf)
            raise KafkaException(KafkaError(KafkaError._INVALID_ARG, text.value.decode()))  # noqa: SLF001  (the client's name)
    lib.rd_kafka_conf_set_events(conf, DELIVERY_REPORT_EVENT | ERROR_EVENT | LOG_EVENT)
    client: int | None = lib.rd_kafka_new(PRODUCER, conf, text, ERROR_TEXT_BYTES)
    if client is None:
        lib.rd_kafka_conf_destroy(conf)
        raise KafkaException(KafkaError(KafkaError._FAIL, text.value.decode()))  # noqa: SLF001  (the client's name)
    lib.rd_kafka_set_log_queue(client, None)
    return client


def _close(client: int, events: int, topics: Mapping[str, int]) -> None:
    for topic in topics.values():
        lib.rd_kafka_topic_destroy(topic)
    lib.rd_kafka_queue_destroy(events)
    lib.rd_kafka_destroy(client)


def _point(messages: IntArray, column: int, items: pa.BinaryArray) -> Any:
    """Write where each item lies and how long it is; return what keeps it there."""
    count = len(items)
    _, offsets_buffer, data = items.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[items.offset : items.offset + count + 1]
    start = 0 if data is None else data.address
    messages[:, column] = start + offsets[:-1].astype(np.int64)
    messages[:, column + 1] = np.diff(offsets)
    if items.null_count:
        messages[np.asarray(items.is_null()), column] = 0
    return offsets_buffer, data
