"""An answer that cannot be a broker's ends its connection, and nothing else."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from headrace.errors import TransientError
from headrace.kafka import coordinator as coordinator_module
from headrace.kafka import fetch_wire, produce_wire
from headrace.kafka.broker import Broker, Heard
from headrace.kafka.coordinator import Coordinator
from headrace.kafka.fetch_wire import Address
from tests import broker_answers as good
from tests.broker_answers import READERS, answers_in

MANY = 2**31 - 1


def test_good_answers_are_read() -> None:
    leaders = fetch_wire.leaders_in(memoryview(good.leaders()))
    (answer,) = answers_in(memoryview(good.fetched(b"abc")))

    assert leaders.leader_by_place == {("test.number.v1", 0): 1, ("test.number.v1", 1): 1}
    assert leaders.unknown == {"missing"}
    assert good.fetched(b"abc")[answer.start :] == b"abc"
    assert produce_wire.errors_of_produce(memoryview(good.produced())) == {
        ("test.number.v1", 0): 0,
        ("test.number.v1", 1): 87,
    }
    assert produce_wire.producer_in(memoryview(good.producer())) == (0, (4_000, 2))
    assert produce_wire.coordinator_in(memoryview(good.coordinator())).address.port == 9092
    assert produce_wire.errors_of_offsets(memoryview(good.offsets())) == {
        ("test.number.v1", 0): 0,
        ("test.number.v1", 1): 14,
    }


@pytest.mark.parametrize(("read", "whole"), READERS)
def test_one_that_ends_too_early_is_refused(
    read: Callable[[memoryview], Any], whole: bytes
) -> None:
    said = read(memoryview(whole))
    for size in range(len(whole)):
        try:
            found = read(memoryview(whole)[:size])
        except ConnectionError:
            continue
        assert found == said  # what is missing is not asked for


@pytest.mark.parametrize("size", [1_000, MANY])
def test_records_that_would_lie_behind_the_answer_are_refused(size: int) -> None:
    with pytest.raises(ConnectionError, match=f"expected {size} (bytes|items) more"):
        answers_in(memoryview(good.fetched(size=size)))


def test_a_list_longer_than_its_answer_is_refused_at_once() -> None:
    with pytest.raises(ConnectionError, match=f"expected {MANY} items more"):
        answers_in(memoryview(good.fetched(aborted=MANY)))


def test_a_list_of_fewer_than_none_is_not_read_backwards() -> None:
    lists = struct.pack(">iiiii", 1, 1, 1, 1, 0)
    answer = good.leaders().replace(lists, struct.pack(">iii", -1, -20, -MANY))

    assert fetch_wire.leaders_in(memoryview(answer)) == fetch_wire.leaders_in(
        memoryview(good.leaders())
    )


def test_a_number_that_goes_on_is_refused() -> None:
    head = good.offsets()[:9]

    with pytest.raises(ConnectionError, match="the end of a number"):
        produce_wire.errors_of_offsets(memoryview(head + b"\xff" * 1_000_000))


def test_a_text_that_is_none_is_refused() -> None:
    answer = good.coordinator(host="lo").replace(b"lo", b"\xff\xfe")

    with pytest.raises(ConnectionError, match="a text"):
        produce_wire.coordinator_in(memoryview(answer))


def test_an_address_that_is_none_is_nobody() -> None:
    with pytest.raises(ConnectionError, match="said to be at"):
        Broker(Address("x" * 70, 1), "test")  # no label of a name is that long


class Answering(Broker):
    """Answers whatever is asked with this."""

    def __init__(self, content: bytes) -> None:
        self._session = fetch_wire.Session()
        self._content = content

    def ask(self, *_: Any) -> Heard:  # type: ignore[override]
        return good.heard(self._content)

    def close(self) -> None:
        """Nothing to hang up."""


def test_records_that_were_not_asked_for_are_refused() -> None:
    wanted = {("test.number.v1", 4): (0, 1)}

    with pytest.raises(ConnectionError, match="not asked for"):
        Answering(good.fetched()).fetch(wanted)


def test_records_that_come_twice_are_refused() -> None:
    whole = good.fetched()
    head, topic = whole[:14], whole[18:]
    twice = head + struct.pack(">i", 2) + topic + topic

    with pytest.raises(ConnectionError, match="twice about the same"):
        Answering(twice).fetch({("test.number.v1", 3): (0, 1)})


@pytest.mark.parametrize("answer", [b"", good.coordinator()[:-9]])
def test_a_coordinator_that_cannot_be_read_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(coordinator_module, "Broker", lambda *_: Answering(answer))
    keeper = Coordinator("here:1", "test", produce_wire.GROUP, "mine")

    with pytest.raises(TransientError, match="coordinator of mine"):
        keeper.ask(produce_wire.COMMIT_OFFSETS, b"", produce_wire.errors_of_offsets)
