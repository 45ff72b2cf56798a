"""The broker that keeps a transaction or a group: found, asked, found anew when it has moved."""

from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError

from headrace.errors import TransientError, UsageError
from headrace.kafka import fetch_wire
from headrace.kafka import produce_wire as wire
from headrace.kafka.broker import Broker
from headrace.kafka.protocol import Kind

Answer = TypeVar("Answer")

FEATURE = "transaction.version"
FEATURE_LEVEL_MIN = 2
"""What a cluster made with Kafka 4.0 or newer has; one that was upgraded has to be told to."""

MOVED = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)


class Coordinator:
    """Asks whoever keeps one transactional id, or one group.

    Raises:  TransientError from every method, if nobody does just now.
    """

    def __init__(self, bootstrap: str, client_id: str, what: int, name: str) -> None:
        """Find it behind these addresses; `what` is GROUP or TRANSACTION."""
        self._bootstrap = fetch_wire.addresses(bootstrap)
        self._client_id = client_id
        self._what = what
        self._name = name
        self._tries = 0
        self._broker: Broker | None = None

    def ask(self, kind: Kind, body: bytes, read: Callable[[memoryview], Answer]) -> Answer:
        """Return what it answers, as `read` reads it."""
        try:
            if self._broker is None:
                self._broker = self._found()
            return read(self._broker.ask(kind, body).content)
        except OSError as error:
            self.forget()
            raise TransientError(f"coordinator of {self._name}: {error}") from error

    def forget(self) -> None:
        """Find it anew for the next question."""
        if self._broker is not None:
            self._broker.close()
            self._broker = None

    def must_know_epochs(self) -> None:
        """Hold the cluster against what transactions take.

        Raises:  UsageError if it has not agreed on it.
        """
        features = self.ask(wire.API_VERSIONS, wire.versions_body(), wire.features_in)
        level = features.get(FEATURE, 0)
        if level < FEATURE_LEVEL_MIN:
            raise UsageError(
                f"the cluster's {FEATURE}: expected {FEATURE_LEVEL_MIN} or more, found {level}; "
                f"raise it with Kafka's own: kafka-features.sh --bootstrap-server HOST:PORT "
                f"upgrade --feature {FEATURE}={FEATURE_LEVEL_MIN}"
            )

    def _found(self) -> Broker:
        """Return a connection to it, found by one of the addresses, in turn."""
        self._tries += 1
        address = self._bootstrap[self._tries % len(self._bootstrap)]
        guide = Broker(address, self._client_id)
        try:
            body = wire.find_body(self._what, self._name)
            found = wire.coordinator_in(guide.ask(wire.FIND_COORDINATOR, body).content)
        finally:
            guide.close()
        if found.error:
            raise TransientError(f"coordinator of {self._name}: {KafkaError(found.error).str()}")
        return Broker(found.address, self._client_id)
