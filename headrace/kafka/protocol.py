"""Numbers and texts as brokers read and write them, in the older form and the compact one.

Source:  Kafka's protocol guide, "Protocol Primitive Types" and KIP-482.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")

_GOES_ON = 0x80
_SEVEN_BITS = 0x7F
_VARINT_SHIFT_MAX = 28
"""Of the last byte: five bytes hold 32 bits."""

NO_TAGS = b"\0"


class Kind(NamedTuple):
    """A kind of request, in one version; the compact ones end every structure with tags."""

    key: int
    version: int
    is_compact: bool


def request(kind: Kind, number: int, client_id: str, body: bytes) -> bytes:
    """Return a request as it is sent."""
    name = client_id.encode()
    head = struct.pack(f">hhih{len(name)}s", kind.key, kind.version, number, len(name), name)
    if kind.is_compact:
        head += NO_TAGS
    return struct.pack(">i", len(head) + len(body)) + head + body


def text(content: str) -> bytes:
    """Return a text in the older form."""
    encoded = content.encode()
    return struct.pack(">h", len(encoded)) + encoded


def count(number: int) -> bytes:
    """Return how many items or bytes follow, in the compact form: none at all would be 0."""
    return varint(number + 1)


def compact(content: str | None) -> bytes:
    """Return a text, or that there is none, in the compact form."""
    if content is None:
        return varint(0)
    encoded = content.encode()
    return count(len(encoded)) + encoded


def varint(number: int) -> bytes:
    """Return a number that is not negative, seven bits a byte, the lowest first."""
    found = bytearray()
    while number > _SEVEN_BITS:
        found.append(number & _SEVEN_BITS | _GOES_ON)
        number >>= 7
    found.append(number)
    return bytes(found)


def by_topic(found: Mapping[tuple[str, int], Item]) -> dict[str, list[tuple[int, Item]]]:
    """Return what is said of each partition under its topic, as requests have it."""
    topics: dict[str, list[tuple[int, Item]]] = {}
    for (topic, partition), item in found.items():
        topics.setdefault(topic, []).append((partition, item))
    return topics


class Reader:
    """Reads numbers and texts one after the other.

    Raises:  ConnectionError from every method, if the answer cannot be what it should be: whoever
             sent it is no broker, or is out of step with what was asked.
    """

    def __init__(self, data: memoryview, at: int) -> None:
        """Begin at a place of an answer, whose number and tags come before its content."""
        self._data = data
        self.at = at

    def skip(self, count: int) -> None:
        """Go on behind so many bytes."""
        if not 0 <= count <= len(self._data) - self.at:
            raise self._broken(f"{count} bytes more")
        self.at += count

    def int8(self) -> int:
        """Return a number of one byte."""
        return self._number(">b", 1)

    def int16(self) -> int:
        """Return a number of two bytes."""
        return self._number(">h", 2)

    def int32(self) -> int:
        """Return a number of four bytes."""
        return self._number(">i", 4)

    def int64(self) -> int:
        """Return a number of eight bytes."""
        return self._number(">q", 8)

    def length(self) -> int:
        """Return how many items follow in the older form, none if it is no list."""
        return self._believed(self.int32())

    def text(self) -> str | None:
        """Return a text in the older form."""
        size = self.int16()
        return None if size < 0 else self._text(size)

    def compact(self) -> str | None:
        """Return a text in the compact form."""
        size = self._varint() - 1
        return None if size < 0 else self._text(size)

    def items(self, read: Callable[[], Item]) -> Sequence[Item]:
        """Return the items of a list in the compact form, each read by this."""
        return [read() for _ in range(self._believed(self._varint() - 1))]

    def tags(self) -> dict[int, "Reader"]:
        """Return by number what else there is: what this version does not know is left out."""
        found = {}
        for _ in range(self._believed(self._varint())):
            tag, size = self._varint(), self._varint()
            found[tag] = Reader(self._data, self.at)
            self.skip(size)
        return found

    def _text(self, size: int) -> str:
        self.skip(size)
        content = bytes(self._data[self.at - size : self.at])
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise self._broken("a text before it") from error

    def _believed(self, count: int) -> int:
        """Return how many items follow; each takes a byte at least."""
        if count > len(self._data) - self.at:
            raise self._broken(f"{count} items more")
        return max(0, count)

    def _varint(self) -> int:
        found = shift = 0
        while (byte := self.int8()) < 0:
            if shift == _VARINT_SHIFT_MAX:
                raise self._broken("the end of a number")
            found |= (byte & _SEVEN_BITS) << shift
            shift += 7
        return found | byte << shift

    def _number(self, kind: str, size: int) -> int:
        if size > len(self._data) - self.at:
            raise self._broken("one number more")
        (number,) = struct.unpack_from(kind, self._data, self.at)
        self.at += size
        return int(number)

    def _broken(self, expected: str) -> ConnectionError:
        return ConnectionError(
            f"an answer of {len(self._data)} bytes: expected {expected} at {self.at}"
        )
