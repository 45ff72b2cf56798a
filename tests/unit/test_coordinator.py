"""A cluster that has not agreed on what transactions take is told apart, and how to mend it."""

import struct
from typing import Any

import pytest

from headrace.errors import TransientError, UsageError
from headrace.kafka import coordinator as coordinator_module
from headrace.kafka import produce_wire as wire
from headrace.kafka.coordinator import FEATURE, Coordinator
from headrace.kafka.protocol import compact, count


def versions(features: dict[str, int], error: int = 0) -> bytes:
    """Return an answer to `versions_body`: one kind of request, and these features."""
    kinds = count(1) + struct.pack(">hhh", 0, 3, 12) + b"\0"
    levels = count(len(features)) + b"".join(
        compact(name) + struct.pack(">hh", level, 0) + b"\0" for name, level in features.items()
    )
    epoch = struct.pack(">q", 9)
    tags = b"\2" + b"\1" + bytes([len(epoch)]) + epoch + b"\2" + bytes([len(levels)]) + levels
    return bytes(4) + struct.pack(">h", error) + kinds + bytes(4) + tags


def coordinator(patch: pytest.MonkeyPatch, answer: bytes) -> Coordinator:
    found = Coordinator("here:1", "test", wire.TRANSACTION, "named")
    patch.setattr(found, "ask", lambda _, __: memoryview(answer))
    return found


def test_a_cluster_that_has_agreed_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = versions({"metadata.version": 29, FEATURE: 2, "group.version": 1})

    coordinator(monkeypatch, answer).must_know_epochs()


@pytest.mark.parametrize("features", [{}, {FEATURE: 1}, {"metadata.version": 29}])
def test_one_that_has_not_is_refused_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, int]
) -> None:
    with pytest.raises(UsageError, match=r"upgrade --feature transaction.version=2"):
        coordinator(monkeypatch, versions(features)).must_know_epochs()


def test_one_that_does_not_say_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TransientError, match="coordinator of named"):
        coordinator(monkeypatch, versions({}, error=35)).must_know_epochs()


def test_one_that_is_away_is_weather_and_found_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def away(address: Any, client_id: str) -> Any:
        tried.append((address, client_id))
        raise ConnectionRefusedError("nobody")

    monkeypatch.setattr(coordinator_module, "Broker", away)
    keeper = Coordinator("here:1,there:2", "test", wire.GROUP, "mine")

    for _ in range(2):
        with pytest.raises(TransientError, match="coordinator of mine: nobody"):
            keeper.ask(wire.COMMIT_OFFSETS, b"")

    assert {address.host for address, _ in tried} == {"here", "there"}
