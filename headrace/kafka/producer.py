"""Writes whole batches to Kafka: idempotent, bounded, and never silently short of a record."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, KafkaException

from headrace import limits
from headrace.batch import Headers, IntArray
from headrace.byte_column import column_of
from headrace.errors import HeadraceError, InvariantError, TransientError
from headrace.kafka import config
from headrace.kafka.librdkafka import ANY_PARTITION
from headrace.kafka.native_producer import NativeProducer


class Producer:
    """Sends columns of bytes; `flush` says when all of them are safe."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._connect(config.producer(bootstrap, client_id))

    def _connect(self, settings: dict[str, Any]) -> None:
        self._client = NativeProducer(settings)

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        *,
        partition: int | None = None,
        partitions: IntArray | Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Queue records in this order; waits while the queue is full.

        Raises:  TransientError if the broker does not take records in time.
        """
        if len(values) != len(keys):
            raise InvariantError(f"topic {topic}: {len(values)} values with {len(keys)} keys")
        if not len(values):
            return
        self._make_room(len(values))
        chosen = partition if partitions is None else np.asarray(partitions, np.int64)
        with self._explained(f"topic {topic}: records refused"):
            if headers is None:
                self._client.queue(topic, column_of(values), column_of(keys), chosen)
            else:
                self._send_singly(topic, values, keys, chosen, headers)
        self._serve(0)

    def flush(self, timeout_s: float = limits.FLUSH_TIMEOUT_S) -> None:
        """Wait until every record sent is acknowledged.

        Raises:  TransientError if one is not.
        """
        with self._explained("records cannot be written"):
            left = self._client.flush(timeout_s)
        if self._client.failed:
            failed, self._client.failed = self._client.failed, []
            raise self._error(f"{len(failed)} records were not acknowledged", failed[0])
        if left:
            raise TransientError(f"{left} records were not acknowledged within {timeout_s} s")

    def _send_singly(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        partitions: IntArray | int | None,
        headers: Sequence[Headers],
    ) -> None:
        # The batch call carries no headers.
        places = np.broadcast_to(
            ANY_PARTITION if partitions is None else partitions, len(values)
        ).tolist()
        for value, key, own, place in zip(values, keys, headers, places, strict=True):
            self._client.queue_with_headers(topic, value, key, own, place)

    def _serve(self, timeout_s: float) -> None:
        with self._explained("the producer failed"):
            self._client.poll(timeout_s)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Raise what the client raises as one of ours."""
        try:
            yield
        except KafkaException as error:
            raise self._error(what, error.args[0]) from error

    def _error(self, what: str, error: KafkaError) -> HeadraceError:
        """Return what to raise when the client refuses or loses a record."""
        return TransientError(f"{what}: {error.str()}")

    def _make_room(self, count: int) -> None:
        # Records refused by a full queue could be overtaken by the ones after them: wait first.
        deadline = monotonic() + limits.FLUSH_TIMEOUT_S
        while len(self._client) + count > limits.PRODUCER_RECORDS_MAX:
            self._serve(0.01)
            if monotonic() > deadline:
                raise TransientError(
                    f"the producer's queue stayed full for {limits.FLUSH_TIMEOUT_S} s: "
                    f"{len(self._client)} records wait for the broker"
                )
