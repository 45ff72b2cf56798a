"""Writes whole batches to Kafka: idempotent, bounded, and never silently short of a record."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from headrace import limits
from headrace.batch import Headers
from headrace.errors import HeadraceError, TransientError
from headrace.kafka import config
from headrace.kafka.client_log import logged


class Producer:
    """Sends columns of bytes; `flush` says when all of them are safe."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._connect(config.producer(bootstrap, client_id))

    def _connect(self, settings: dict[str, Any]) -> None:
        self._client = Client(settings | logged())
        self._failed: list[KafkaError] = []

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        *,
        partition: int | None = None,
        partitions: Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Queue records in this order; waits while the queue is full.

        Raises:  TransientError if the broker does not take records in time.
        """
        self._make_room(len(values))
        if headers is not None:
            places = partitions if partitions is not None else [partition] * len(values)
            self._send_singly(topic, values, keys, places, headers)
            return
        if partitions is None:
            self._send_together(topic, values, keys, partition)
            return
        rows_by_partition: dict[int, list[int]] = {}
        for row, chosen in enumerate(partitions):
            rows_by_partition.setdefault(chosen, []).append(row)
        # The batch call takes one partition for all its records.
        for chosen, rows in rows_by_partition.items():
            self._send_together(
                topic, [values[row] for row in rows], [keys[row] for row in rows], chosen
            )

    def _send_together(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        partition: int | None,
    ) -> None:
        messages: list[dict[str, object]] = [
            {"value": value, "key": key} for value, key in zip(values, keys, strict=True)
        ]
        options = {} if partition is None else {"partition": partition}
        queued = self._client.produce_batch(
            topic, messages, on_delivery=self._on_delivery, **options
        )
        if queued != len(messages):
            refused = next(message["_error"] for message in messages if "_error" in message)
            raise self._error(f"topic {topic}: {len(messages) - queued} records refused", refused)
        self._serve(0)

    def flush(self, timeout_s: float = limits.FLUSH_TIMEOUT_S) -> None:
        """Wait until every record sent is acknowledged.

        Raises:  TransientError if one is not.
        """
        with self._explained("records cannot be written"):
            left = self._client.flush(timeout_s)
        if self._failed:
            failed, self._failed = self._failed, []
            raise self._error(f"{len(failed)} records were not acknowledged", failed[0])
        if left:
            raise TransientError(f"{left} records were not acknowledged within {timeout_s} s")

    def _send_singly(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        partitions: Sequence[int | None],
        headers: Sequence[Headers],
    ) -> None:
        # The batch call carries no headers.
        for row, value in enumerate(values):
            chosen = partitions[row]
            options = {} if chosen is None else {"partition": chosen}
            with self._explained(f"topic {topic}: record refused"):
                self._client.produce(
                    topic,
                    value,
                    keys[row],
                    headers=list(headers[row]),
                    on_delivery=self._on_delivery,
                    **options,
                )
        self._serve(0)

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
        except SystemError as error:
            # A fatal error is raised between two callbacks; the second then seems to have failed.
            if not isinstance(error.__cause__, KafkaException):
                raise
            raise self._error(what, error.__cause__.args[0]) from error

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

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:  # noqa: ARG002
        if error is not None:
            self._failed.append(error)
