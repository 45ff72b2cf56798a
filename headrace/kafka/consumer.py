"""Reads whole batches from Kafka, as they wait there, grouped by topic and partition."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from headrace import limits
from headrace.batch import Headers
from headrace.errors import InvariantError, TransientError, UsageError
from headrace.kafka import config
from headrace.kafka.outages import over_outages
from headrace.kafka.producer import _log_error, _Quiet

log = structlog.get_logger(__name__)

NO_LONGER_A_MEMBER = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001  (the client's name for it)
    }
)

Offsets = dict[tuple[str, int], int]
"""The next offset wanted, by topic and partition."""


@dataclass(slots=True)
class RawPart:
    """Records of one topic-partition as they lie in the log."""

    topic: str
    partition: int
    values: list[bytes | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    timestamps_ms: list[int] = field(default_factory=list)
    headers: list[Headers] | None = None


class Consumer:
    """A member of a consumer group that is told what to commit."""

    def __init__(self, bootstrap: str, client_id: str, group: str) -> None:
        self._client = Client(
            config.consumer(bootstrap, client_id, group)
            | {"error_cb": _log_error, "logger": _Quiet()}
        )
        self.group = group

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Callable[[Sequence[tuple[str, int]]], Offsets],
        on_revoke: Callable[[Sequence[tuple[str, int]]], None],
    ) -> None:
        """Join the group.

        `on_assign` is given the partitions and returns from where to read those that it does not
        want read from the committed offset; `on_revoke` returns when nothing of them is in flight.
        """

        def assigned(client: Client, partitions: list[TopicPartition]) -> None:
            starts = on_assign([(p.topic, p.partition) for p in partitions])
            for partition in partitions:
                start = starts.get((partition.topic, partition.partition))
                if start is not None:
                    partition.offset = start
            client.assign(partitions)

        def revoked(client: Client, partitions: list[TopicPartition]) -> None:
            on_revoke([(p.topic, p.partition) for p in partitions])
            client.unassign()

        self._client.subscribe(list(topics), on_assign=assigned, on_revoke=revoked)

    def assign(self, starts: Mapping[tuple[str, int], int]) -> None:
        """Read these partitions from these offsets, without a group."""
        self._client.assign([TopicPartition(t, p, offset) for (t, p), offset in starts.items()])

    def poll(self, records_max: int, timeout_s: float) -> list[RawPart]:
        """Return what waits, at most so many records; waits only if there is nothing.

        Raises:  UsageError if a topic does not exist; InvariantError if the client is broken.
        """
        first = self._client.poll(timeout_s)
        if first is None:
            return []
        # A batch that is asked for with a timeout waits until it is full: ask for what is there.
        return _group([first, *self._client.consume(records_max - 1, 0)])

    @over_outages
    def commit(self, offsets: Offsets) -> None:
        """Commit these next offsets, and wait for it.

        A member that was put out of its group while it worked has nothing to commit any more:
        whoever owns the partitions now reads the same records again.
        Raises:  TransientError if the broker does not take them.
        """
        wanted = [TopicPartition(t, p, offset) for (t, p), offset in offsets.items()]
        try:
            results = self._client.commit(offsets=wanted, asynchronous=False)
            errors = [result.error for result in results if result.error is not None]
        except KafkaException as error:
            errors = [error.args[0]]
        if any(error.code() in NO_LONGER_A_MEMBER for error in errors):
            log.warning("commit_refused", group=self.group, error=errors[0].str())
        elif errors:
            raise TransientError(f"group {self.group}: commit failed: {errors[0].str()}")

    @over_outages
    def committed(self, partitions: Sequence[tuple[str, int]]) -> Offsets:
        """Return the group's committed offsets; partitions without one are left out."""
        wanted = [TopicPartition(t, p) for t, p in partitions]
        try:
            found = self._client.committed(wanted, timeout=limits.REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise TransientError(f"group {self.group}: {error}") from error
        return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

    @over_outages
    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset in the log and the one after its last."""
        try:
            low, high = self._client.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=limits.REQUEST_TIMEOUT_S
            )
        except KafkaException as error:
            raise TransientError(f"topic {topic}, partition {partition}: {error}") from error
        return low, high

    def lag(self, offsets: Offsets) -> int:
        """Return how many records lie behind these offsets, as far as the client has heard."""
        total = 0
        for (topic, partition), offset in offsets.items():
            _, high = self._client.get_watermark_offsets(
                TopicPartition(topic, partition), cached=True
            )
            total += max(0, high - offset)
        return total

    def pause(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Stop reading these partitions for now."""
        self._client.pause([TopicPartition(t, p) for t, p in partitions])

    def resume(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Go on reading these partitions."""
        self._client.resume([TopicPartition(t, p) for t, p in partitions])

    def close(self) -> None:
        """Leave the group; `on_revoke` is called for what is still owned."""
        self._client.close()


def _group(messages: list[Message]) -> list[RawPart]:
    parts: dict[tuple[str, int], RawPart] = {}
    for message in messages:
        error = message.error()
        if error is not None:
            _judge(error)
            continue
        place = (message.topic(), message.partition())
        part = parts.get(place)
        if part is None:
            part = parts[place] = RawPart(*place)
        part.values.append(message.value())
        part.keys.append(message.key())
        part.offsets.append(message.offset())
        part.timestamps_ms.append(message.timestamp()[1])
        headers = message.headers()
        if headers is not None or part.headers is not None:
            if part.headers is None:
                part.headers = [() for _ in part.values[:-1]]
            part.headers.append(headers or ())
    return list(parts.values())


def _judge(error: KafkaError) -> None:
    """Go on after what passes by itself; stop at what does not."""
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise UsageError(f"{error.str()}; create it with: headrace topics TOPOLOGY --create")
    if error.fatal():
        raise InvariantError(f"the Kafka client is broken: {error.str()}")
    log.warning("kafka_consume", error=error.str())
