"""One connection to a broker, on which one question at a time is asked."""

import socket
import struct
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np

from headrace import limits
from headrace.kafka import fetch_wire as wire
from headrace.kafka.fetch_wire import Address, Leaders
from headrace.kafka.fetched import Place
from headrace.kafka.lz4_kernel import SLACK_BYTES
from headrace.kafka.protocol import Kind, request
from headrace.kafka.record_batches import Bytes

_LEFT_S_MIN = 0.001
"""Of a wait: none at all would mean not to wait, and to fail otherwise."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer: `size` bytes of `data`, and SLACK_BYTES that may be touched behind them."""

    data: Bytes
    size: int

    @property
    def content(self) -> memoryview:
        """Return the answer itself; what it says begins behind its number."""
        return memoryview(self.data.data)[: self.size]


class Broker:
    """Asks one broker; made anew after any error.

    Raises:  OSError from every method, if the broker is away or answers what it should not.
    """

    def __init__(self, address: Address, client_id: str) -> None:
        try:
            self._socket = socket.create_connection(address, limits.CONNECT_S)
        except UnicodeError as error:
            raise ConnectionError(f"a broker said to be at {address}: {error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        weakref.finalize(self, self._socket.close)  # whoever forgets it need not hang up
        self._client_id = client_id
        self._asked = 0
        self._session = wire.Session()

    def leaders(self, topics: Sequence[str]) -> Leaders:
        """Return who leads these topics' partitions."""
        return wire.leaders_in(self.ask(wire.METADATA, wire.metadata_body(topics)).content)

    def fetch(self, wanted: Mapping[Place, tuple[int, int]]) -> tuple[Bytes, list[wire.Answer]]:
        """Return what there is of these partitions, and the bytes it lies in.

        Shapes:  `wanted` by partition the offset, and a number that changes if it is read anew.
        """
        ask = self._session.ask(wanted)
        heard = self.ask(wire.FETCH, wire.fetch_body(ask), ask.wait_ms)
        said = list(wire.answers_in(heard.content, self._session))
        places = {one.place for one in said}
        if not places <= wanted.keys() or len(places) < len(said):
            raise ConnectionError("an answer about what was not asked for, or twice about the same")
        return heard.data, said

    def ask(self, kind: Kind, body: bytes, wait_ms: int = 0) -> Heard:
        """Return what the broker answers, which it may hold back so long."""
        self.tell(kind, body)
        return self.hear(wait_ms)

    def tell(self, kind: Kind, body: bytes) -> None:
        """Ask, and have the answer heard later."""
        self._asked = self._asked + 1 & 0x7FFF_FFFF
        self._socket.settimeout(limits.REQUEST_TIMEOUT_S)
        self._socket.sendall(request(kind, self._asked, self._client_id, body))

    def hear(self, wait_ms: int = 0) -> Heard:
        """Return the answer to what was asked last, as `ask` does."""
        deadline_s = monotonic() + wait_ms / 1_000 + limits.REQUEST_TIMEOUT_S
        head = np.empty(4, np.uint8)
        self._fill(memoryview(head.data), deadline_s)
        (size,) = struct.unpack(">i", head.tobytes())
        if not len(head) <= size <= limits.ANSWER_BYTES_MAX:
            raise ConnectionError(f"an answer of {size} bytes")
        answer = np.empty(size + SLACK_BYTES, np.uint8)
        self._fill(memoryview(answer.data)[:size], deadline_s)
        (number,) = struct.unpack(">i", answer[:4].tobytes())
        if number != self._asked:
            raise ConnectionError(f"the answer to question {number}, expected {self._asked}")
        return Heard(answer, size)

    def close(self) -> None:
        """Hang up; whoever waits for an answer is told so."""
        self._socket.close()

    def _fill(self, into: memoryview, deadline_s: float) -> None:
        filled = 0
        while filled < len(into):
            # Of the whole answer, however slowly its bytes come.
            self._socket.settimeout(max(deadline_s - monotonic(), _LEFT_S_MIN))
            count = self._socket.recv_into(into[filled:])
            if not count:
                raise ConnectionError("the broker hung up")
            filled += count
