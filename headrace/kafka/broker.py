"""One connection to a broker, on which one question at a time is asked."""

import socket
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from headrace import limits
from headrace.kafka import fetch_wire as wire
from headrace.kafka.fetch_wire import Address, Leaders
from headrace.kafka.fetched import Place
from headrace.kafka.lz4_kernel import SLACK_BYTES
from headrace.kafka.record_batches import Bytes


class Broker:
    """Asks one broker; made anew after any error.

    Raises:  OSError from every method, if the broker is away or answers what it should not.
    """

    def __init__(self, address: Address, client_id: str) -> None:
        self._socket = socket.create_connection(address, limits.CONNECT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client_id = client_id
        self._asked = 0
        self._session = wire.Session()

    def leaders(self, topics: Sequence[str]) -> Leaders:
        """Return who leads these topics' partitions."""
        answer, size = self._answer(wire.METADATA, wire.metadata_body(topics), 0)
        return wire.leaders_in(memoryview(answer.data)[:size])

    def fetch(self, wanted: Mapping[Place, tuple[int, int]]) -> tuple[Bytes, list[wire.Answer]]:
        """Return what there is of these partitions, and the bytes it lies in.

        Shapes:  `wanted` by partition the offset, and a number that changes if it is read anew.
        """
        ask = self._session.ask(wanted)
        answer, size = self._answer(wire.FETCH, wire.fetch_body(ask), ask.wait_ms)
        return answer, list(wire.answers_in(memoryview(answer.data)[:size], self._session))

    def close(self) -> None:
        """Hang up; whoever waits for an answer is told so."""
        self._socket.close()

    def _answer(self, kind: int, body: bytes, wait_ms: int) -> tuple[Bytes, int]:
        self._asked = self._asked + 1 & 0x7FFF_FFFF
        self._socket.settimeout(wait_ms / 1_000 + limits.REQUEST_TIMEOUT_S)
        self._socket.sendall(wire.request(kind, self._asked, self._client_id, body))
        head = np.empty(4, np.uint8)
        self._fill(memoryview(head.data))
        (size,) = struct.unpack(">i", head.tobytes())
        if not len(head) <= size <= limits.ANSWER_BYTES_MAX:
            raise ConnectionError(f"an answer of {size} bytes")
        answer = np.empty(size + SLACK_BYTES, np.uint8)
        self._fill(memoryview(answer.data)[:size])
        (number,) = struct.unpack(">i", answer[:4].tobytes())
        if number != self._asked:
            raise ConnectionError(f"the answer to question {number}, expected {self._asked}")
        return answer, size

    def _fill(self, into: memoryview) -> None:
        filled = 0
        while filled < len(into):
            count = self._socket.recv_into(into[filled:])
            if not count:
                raise ConnectionError("the broker hung up")
            filled += count
