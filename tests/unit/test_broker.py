"""A connection to a broker: whole answers however they come, and an end to every wait."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

import pytest

from headrace import limits
from headrace.kafka.broker import Broker
from headrace.kafka.fetch_wire import METADATA, Address

WAIT_S = 20.0
Talk = Callable[[socket.socket], None]


@contextmanager
def asked(talk: Talk) -> Iterator[Broker]:
    """Be connected to a broker that takes one question and then does what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65_536)
                talk(peer)

        serving = Thread(target=serve)
        serving.start()
        broker = Broker(Address(*server.getsockname()), "test")
        broker.tell(METADATA, b"")
        try:
            yield broker
        finally:
            broker.close()
            serving.join(WAIT_S)


def answer(content: bytes, number: int = 1) -> bytes:
    return struct.pack(">ii", 4 + len(content), number) + content


def heard(*pieces: bytes) -> bytes:
    """Return what is heard of an answer that comes in these pieces."""

    def talk(peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            peer.sendall(piece)

    with asked(talk) as broker:
        return bytes(broker.hear().content[4:])


@pytest.mark.parametrize("size", [0, 1, 1_000, 65_528, 65_529, 300_000])
def test_an_answer_is_heard_whole(size: int) -> None:
    content = bytes(index % 251 for index in range(size))

    assert heard(answer(content)) == content


def test_an_answer_may_come_byte_by_byte() -> None:
    assert heard(*(bytes([byte]) for byte in answer(b"abc"))) == b"abc"


def test_what_comes_behind_an_answer_is_refused() -> None:
    with pytest.raises(ConnectionError, match="3 bytes behind an answer"):
        heard(answer(b"abc") + b"def")


def test_the_answer_to_another_question_is_refused() -> None:
    with pytest.raises(ConnectionError, match="question 7, expected 1"):
        heard(answer(b"abc", number=7))


def test_a_length_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConnectionError, match="an answer of 3 bytes"):
        heard(struct.pack(">i", 3))


def test_a_broker_that_hangs_up_is_told_from_one_that_waits() -> None:
    with pytest.raises(ConnectionError, match="hung up"):
        heard(answer(b"abc")[:-1])


@pytest.mark.parametrize("said", [b"", answer(b"abc")[:9]])
def test_a_broker_that_goes_silent_is_waited_for_no_longer_than_that(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT_S", 0.2)

    def talk(peer: socket.socket) -> None:
        peer.sendall(said)
        peer.recv(1)  # until the other side has had enough

    with asked(talk) as broker:
        begun_s = monotonic()
        with pytest.raises(TimeoutError, match="did not answer in time"):
            broker.hear()
        assert 0.2 <= monotonic() - begun_s < WAIT_S


def test_an_answer_that_trickles_in_has_no_more_time_than_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT_S", 0.3)

    def talk(peer: socket.socket) -> None:
        peer.settimeout(0.1)
        peer.sendall(struct.pack(">i", 1_000))
        while True:
            try:
                if not peer.recv(1):
                    return
            except TimeoutError:
                peer.sendall(b"x")

    with asked(talk) as broker, pytest.raises(TimeoutError):
        broker.hear()


@pytest.mark.parametrize("taken", [0, 1_000_000])
def test_a_broker_that_takes_no_more_of_a_question_is_waited_for_no_longer_than_that(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT_S", 0.3)
    enough = Event()

    def talk(peer: socket.socket) -> None:
        peer.recv(taken, socket.MSG_WAITALL)
        enough.wait(WAIT_S)

    with asked(talk) as broker:
        begun_s = monotonic()
        with pytest.raises(TimeoutError, match="did not take a question in time"):
            broker.tell(METADATA, bytes(64_000_000))
        assert 0.3 <= monotonic() - begun_s < WAIT_S
        enough.set()


def test_a_question_that_is_taken_slowly_has_no_more_time_than_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT_S", 0.3)
    enough = Event()

    def talk(peer: socket.socket) -> None:
        while not enough.wait(0.05):
            peer.recv(1_000_000)

    with asked(talk) as broker:
        with pytest.raises(TimeoutError):
            broker.tell(METADATA, bytes(64_000_000))
        enough.set()
