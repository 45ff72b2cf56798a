"""Connections to the brokers of a cluster: made when they are asked, forgotten when they fail."""

import random
from collections.abc import Sequence

import structlog
from confluent_kafka import KafkaError

from headrace.kafka import fetch_wire
from headrace.kafka import produce_wire as wire
from headrace.kafka.broker import Broker
from headrace.kafka.client_log import tell
from headrace.kafka.fetch_wire import Address, Leaders
from headrace.kafka.produce_wire import Producer

log = structlog.get_logger(__name__)

_chance = random.Random()  # noqa: S311  (no secret; the shared one is for who seeds it)


class Cluster:
    """Brokers by address, for one thread; what can be asked of any of them is asked of one."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        """Begin with these addresses: `host:port`, several by commas."""
        self._bootstrap = fetch_wire.addresses(bootstrap)
        self._client_id = client_id
        self._known: list[Address] = []
        self._brokers: dict[Address, Broker] = {}

    def broker(self, address: Address) -> Broker:
        """Return the connection to a broker.

        Raises:  OSError if it is away.
        """
        found = self._brokers.get(address)
        if found is None:
            found = self._brokers[address] = Broker(address, self._client_id)
        return found

    def lose(self, address: Address, error: OSError) -> None:
        """Forget a connection that failed, and tell why."""
        broker = self._brokers.pop(address, None)
        if broker is not None:
            broker.close()
        tell("kafka_send", f"{address.host}:{address.port}: {error}")

    def hang_up(self) -> None:
        """Close all connections."""
        for broker in self._brokers.values():
            broker.close()
        self._brokers.clear()

    def leaders(self, topics: Sequence[str]) -> Leaders | None:
        """Return who leads these topics' partitions; None if whoever was asked is away."""
        address = _chance.choice([*self._known, *self._bootstrap])
        try:
            found = self.broker(address).leaders(topics)
        except OSError as error:
            self.lose(address, error)
            return None
        self._known = list(found.brokers.values())
        return found

    def new_producer(self) -> Producer | None:
        """Return a number to write under, outside of transactions; None if there is none now."""
        address = _chance.choice(self._bootstrap)
        try:
            answer = self.broker(address).ask(wire.INIT_PRODUCER, wire.init_body(None))
            refusal, producer = wire.producer_in(answer.content)
        except OSError as error:
            self.lose(address, error)
            return None
        if refusal:
            log.info("producer_number", error=KafkaError(refusal).str())
            return None
        return producer
