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
"""Of a wait: none at all would mean to wait for ever."""

_AT_ONCE_BYTES = 2**16
"""Of an answer that come with its length: most are smaller."""

_LENGTH_BYTES = 4


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
        # The kernel minds the time: Python would ask it first whether there is something, and give
        # the interpreter away once more for each call.
        self._socket.settimeout(None)
        self._at_once = np.empty(_AT_ONCE_BYTES, np.uint8)
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
        rest = memoryview(request(kind, self._asked, self._client_id, body))
        deadline_s = monotonic() + limits.REQUEST_TIMEOUT_S
        while rest:
            # Of the whole question, however slowly its bytes are taken.
            self._limit(socket.SO_SNDTIMEO, deadline_s - monotonic())
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError as error:
                raise TimeoutError("the broker did not take a question in time") from error

    def hear(self, wait_ms: int = 0) -> Heard:
        """Return the answer to what was asked last, as `ask` does."""
        deadline_s = monotonic() + wait_ms / 1_000 + limits.REQUEST_TIMEOUT_S
        at_once = memoryview(self._at_once.data)
        came = self._fill(at_once, _LENGTH_BYTES, deadline_s)
        (size,) = struct.unpack(">i", at_once[:_LENGTH_BYTES])
        if not _LENGTH_BYTES <= size <= limits.ANSWER_BYTES_MAX:
            raise ConnectionError(f"an answer of {size} bytes")
        answer = np.empty(size + SLACK_BYTES, np.uint8)
        came -= _LENGTH_BYTES
        if came > size:
            raise ConnectionError(f"{came - size} bytes behind an answer, to no question")
        answer[:came] = self._at_once[_LENGTH_BYTES:][:came]
        rest = memoryview(answer.data)[came:size]
        self._fill(rest, len(rest), deadline_s)
        (number,) = struct.unpack(">i", answer[:4].tobytes())
        if number != self._asked:
            raise ConnectionError(f"the answer to question {number}, expected {self._asked}")
        return Heard(answer, size)

    def close(self) -> None:
        """Hang up; not while another thread asks, which would not be told so."""
        self._socket.close()

    def _fill(self, into: memoryview, bytes_min: int, deadline_s: float) -> int:
        """Receive so many bytes or more; return how many. Of the whole, however slowly they come.

        Raises:  TimeoutError if they do not come in time.
        """
        filled = 0
        while filled < bytes_min:
            self._limit(socket.SO_RCVTIMEO, deadline_s - monotonic())
            try:
                count = self._socket.recv_into(into[filled:])
            except BlockingIOError as error:
                raise TimeoutError("the broker did not answer in time") from error
            if not count:
                raise ConnectionError("the broker hung up")
            filled += count
        return filled

    def _limit(self, option: int, most_s: float) -> None:
        """Have the kernel end a call after so long."""
        whole_s, part_s = divmod(max(most_s, _LEFT_S_MIN), 1)
        wait = struct.pack("@ll", int(whole_s), int(part_s * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, option, wait)
