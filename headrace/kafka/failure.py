"""What becomes of a batch that a broker refuses: sent again, or told."""

from dataclasses import dataclass

from confluent_kafka import KafkaError

from headrace.kafka import fetch_wire
from headrace.kafka.fetched import Place

IN_LOG = frozenset({0, KafkaError.DUPLICATE_SEQUENCE_NUMBER})
PASSING = fetch_wire.MOVED | {
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.CONCURRENT_TRANSACTIONS,
    KafkaError.OPERATION_NOT_ATTEMPTED,
}
"""Errors after which the same batch is sent again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Records that are not in the log, or may not be, and why: an error code of Kafka's."""

    code: int
    place: Place
    records: int

    def __str__(self) -> str:
        """Say it."""
        topic, partition = self.place
        why = KafkaError(self.code).str()
        if self.code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            why = "the cluster has none; create it with: headrace topics TOPOLOGY --create"
        return f"topic {topic}, partition {partition}: {self.records} records refused: {why}"
