"""Writes whole batches to Kafka: idempotent, bounded, and never silently short of a record."""

from collections.abc import Sequence
from time import monotonic

import structlog
from confluent_kafka import KafkaError, Message
from confluent_kafka import Producer as Client

from headrace import limits
from headrace.batch import Headers
from headrace.errors import TransientError
from headrace.kafka import config

log = structlog.get_logger(__name__)


class Producer:
    """Sends columns of bytes; `flush` says when all of them are safe."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._client = Client(
            config.producer(bootstrap, client_id) | {"error_cb": _log_error, "logger": _Quiet()}
        )
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
            self._send_singly(topic, values, keys, partition, headers)
            return
        messages: list[dict[str, object]] = [
            {"value": value, "key": key} for value, key in zip(values, keys, strict=True)
        ]
        if partitions is not None:
            for message, chosen in zip(messages, partitions, strict=True):
                message["partition"] = chosen
        options = {} if partition is None else {"partition": partition}
        queued = self._client.produce_batch(
            topic, messages, on_delivery=self._on_delivery, **options
        )
        if queued != len(messages):
            refused = next(message["_error"] for message in messages if "_error" in message)
            raise TransientError(
                f"topic {topic}: {len(messages) - queued} of {len(messages)} records were refused "
                f"by the producer: {refused}"
            )
        self._client.poll(0)

    def flush(self, timeout_s: float = limits.FLUSH_TIMEOUT_S) -> None:
        """Wait until every record sent is acknowledged.

        Raises:  TransientError if one is not.
        """
        left = self._client.flush(timeout_s)
        if self._failed:
            failed, self._failed = self._failed, []
            raise TransientError(
                f"{len(failed)} records were not acknowledged within "
                f"{limits.DELIVERY_TIMEOUT_MS} ms: {failed[0].str()}"
            )
        if left:
            raise TransientError(f"{left} records were not acknowledged within {timeout_s} s")

    def _send_singly(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        partition: int | None,
        headers: Sequence[Headers],
    ) -> None:
        # The batch call carries no headers.
        options = {} if partition is None else {"partition": partition}
        for row, value in enumerate(values):
            self._client.produce(
                topic,
                value,
                keys[row],
                headers=list(headers[row]),
                on_delivery=self._on_delivery,
                **options,
            )
        self._client.poll(0)

    def _make_room(self, count: int) -> None:
        # Records refused by a full queue could be overtaken by the ones after them: wait first.
        deadline = monotonic() + limits.FLUSH_TIMEOUT_S
        while len(self._client) + count > limits.PRODUCER_RECORDS_MAX:
            self._client.poll(0.01)
            if monotonic() > deadline:
                raise TransientError(
                    f"the producer's queue stayed full for {limits.FLUSH_TIMEOUT_S} s: "
                    f"{len(self._client)} records wait for the broker"
                )

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:  # noqa: ARG002
        if error is not None:
            self._failed.append(error)


class _Quiet:
    """librdkafka's own log, which repeats every refused connection many times a second."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        log.debug("librdkafka", level=level, text=text % arguments if arguments else text)


def _log_error(error: KafkaError) -> None:
    log.warning("kafka_connection", error=error.str())
