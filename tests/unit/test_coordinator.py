"""A cluster that has not agreed on what transactions take is told apart, and how to mend it."""

from typing import Any

import pytest

from headrace.errors import TransientError, UsageError
from headrace.kafka import coordinator as coordinator_module
from headrace.kafka import produce_wire as wire
from headrace.kafka.broker import Heard
from headrace.kafka.coordinator import FEATURE, Coordinator
from headrace.kafka.protocol import Kind
from tests import broker_answers as good


class Answering:
    """A broker that answers who coordinates, and whatever else is asked with this."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def ask(self, kind: Kind, _: bytes) -> Heard:
        return good.heard(good.coordinator() if kind == wire.FIND_COORDINATOR else self._content)

    def close(self) -> None:
        """Nothing to hang up."""


def coordinator(patch: pytest.MonkeyPatch, answer: bytes) -> Coordinator:
    patch.setattr(coordinator_module, "Broker", lambda *_: Answering(answer))
    return Coordinator("here:1", "test", wire.TRANSACTION, "named")


def test_a_cluster_that_has_agreed_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = good.versions({"metadata.version": 29, FEATURE: 2, "group.version": 1})

    coordinator(monkeypatch, answer).must_know_epochs()


@pytest.mark.parametrize("features", [{}, {FEATURE: 1}, {"metadata.version": 29}])
def test_one_that_has_not_is_refused_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, int]
) -> None:
    with pytest.raises(UsageError, match=r"upgrade --feature transaction.version=2"):
        coordinator(monkeypatch, good.versions(features)).must_know_epochs()


def test_one_that_does_not_say_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TransientError, match="coordinator of named"):
        coordinator(monkeypatch, good.versions({}, error=35)).must_know_epochs()


def test_one_that_is_away_is_weather_and_found_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def away(address: Any, client_id: str) -> Any:
        tried.append((address, client_id))
        raise ConnectionRefusedError("nobody")

    monkeypatch.setattr(coordinator_module, "Broker", away)
    keeper = Coordinator("here:1,there:2", "test", wire.GROUP, "mine")

    for _ in range(2):
        with pytest.raises(TransientError, match="coordinator of mine: nobody"):
            keeper.ask(wire.COMMIT_OFFSETS, b"", wire.errors_of_offsets)

    assert {address.host for address, _ in tried} == {"here", "there"}
