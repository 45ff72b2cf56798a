"""Brokers that answer a sender from memory, and fail as they are told."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from headrace.kafka import cluster as cluster_module
from headrace.kafka import produce_wire as wire
from headrace.kafka.fetch_wire import Address, Leaders
from headrace.kafka.fetched import Place

TOPIC = "a.v1"
HERE = Address("here", 1)
LEADERS = Leaders({1: HERE}, {(TOPIC, 0): 1, (TOPIC, 1): 1}, frozenset(), {TOPIC: 2})
UNKNOWN = Leaders({1: HERE}, {}, frozenset({TOPIC}), {})
Answers = Callable[[int], dict[int, int] | OSError]
"""By the number of the request: an error code by partition, all others 0, or what goes wrong."""


class Heard:
    """An answer as the sender takes it."""

    def __init__(self, content: bytes) -> None:
        self.content = memoryview(content)


class Cluster:
    """One broker that notes what it is sent."""

    def __init__(self) -> None:
        self.requests: list[dict[Place, bytes]] = []
        self.answers: Answers = lambda _: {}
        self.known: list[Leaders | OSError] = [LEADERS]
        self.asked_for_leaders = 0

    def connect(self, address: Address, client_id: str) -> "Cluster":
        assert (address, client_id) == (HERE, "test")
        return self

    def close(self) -> None:
        """Nothing is held."""

    def ask(self, kind: Any, body: bytes) -> Heard:  # noqa: ARG002 (the broker's)
        assert kind == wire.INIT_PRODUCER
        return Heard(
            bytes(4) + b"\0" + struct.pack(">ihqh", 0, 0, 40 + len(self.requests), 0) + b"\0"
        )

    def leaders(self, topics: list[str]) -> Leaders:
        assert topics == [TOPIC]
        self.asked_for_leaders += 1
        said = self.known[min(self.asked_for_leaders, len(self.known)) - 1]
        if isinstance(said, OSError):
            raise said
        return said

    def tell(self, kind: Any, body: dict[Place, bytes]) -> None:
        assert kind == wire.PRODUCE
        self.requests.append(body)

    def hear(self, wait_ms: int) -> Heard:
        assert wait_ms > 0
        said = self.answers(len(self.requests))
        if isinstance(said, OSError):
            raise said
        errors = {place: said.get(place[1], 0) for place in self.requests[-1]}
        return Heard(repr(errors).encode())

    def stand_in(self, patch: pytest.MonkeyPatch) -> None:
        """Be what a sender connects to from now on."""
        patch.setattr(cluster_module, "Broker", self.connect)
        patch.setattr(wire, "produce_body", lambda _, batches: dict_of(batches))
        patch.setattr(wire, "errors_of_produce", lambda content: eval(bytes(content)))  # noqa: S307


def dict_of(batches: dict[Place, memoryview]) -> dict[Place, bytes]:
    """Return batches as they are now."""
    return {place: bytes(batch) for place, batch in batches.items()}
