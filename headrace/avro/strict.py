"""One Avro record's bytes, checked by its schema: what lenient readers misread is no record.

Readers in C and Rust take an enum's or a union's index of -1 for the last one, any byte for a
boolean, and cut numbers to 64 bits; a corrupt record would become a plausible one.
"""

from typing import Any

import numpy as np

from headrace.avro.schema import AvroSchema
from headrace.avro.varints import VARINT_BYTES_MAX, past_varints
from headrace.errors import DecodeError

_BITS = {"int": 32, "long": 64}
_FIXED_BYTES = {"float": 4, "double": 8}


def require_record(body: bytes, schema: AvroSchema) -> None:
    """Raise DecodeError unless the bytes are one record of this schema, and nothing else.

    Time is bounded by the bytes: no type that columns can carry takes less than one.
    """
    at = 0
    for field in schema.fields:
        at = _past(field["type"], body, at)
    if at != len(body):
        raise DecodeError(f"expected a record of {at} bytes, found {len(body)}")


def _past(avro: Any, body: bytes, at: int) -> int:
    """Return the place after a value of this type."""
    if isinstance(avro, list):
        branch, at = _index(body, at, len(avro), "a union's branch")
        return at if avro[branch] == "null" else _past(avro[branch], body, at)
    if isinstance(avro, dict):
        if avro["type"] == "array":
            return _past_array(avro["items"], body, at)
        if avro["type"] == "enum":
            return _index(body, at, len(avro["symbols"]), "an enum's symbol")[1]
        return _past(avro["type"], body, at)
    return _past_plain(avro, body, at)


def _past_plain(avro: str, body: bytes, at: int) -> int:
    if avro == "string":
        length, at = _number(body, at, _BITS["long"])
        return _within(body, at, length)
    if avro == "boolean":
        if body[at : at + 1] not in {b"\x00", b"\x01"}:
            raise DecodeError(f"byte {at}: expected a boolean, found {_shown(body, at)}")
        return at + 1
    if avro in _FIXED_BYTES:
        return _within(body, at, _FIXED_BYTES[avro])
    return _number(body, at, _BITS[avro])[1]


def _past_array(items: Any, body: bytes, at: int) -> int:
    """Return the place after an array's blocks; a negative count is followed by their size."""
    while True:
        count, at = _number(body, at, _BITS["long"])
        if count == 0:
            return at
        end = None
        if count < 0:
            size, at = _number(body, at, _BITS["long"])
            end = _within(body, at, size)
        at = _past_items(items, body, at, abs(count))
        if end is not None and at != end:
            raise DecodeError(f"byte {at}: expected an array's block to end at byte {end}")


def _past_items(items: Any, body: bytes, at: int, count: int) -> int:
    if isinstance(items, str) and items in _BITS:
        found = past_varints(np.frombuffer(body, np.uint8), at, count, _BITS[items])
        return found if found >= 0 else _number(body, -1 - found, _BITS[items])[1]
    for _ in range(count):
        at = _past(items, body, at)
    return at


def _number(body: bytes, at: int, bits: int) -> tuple[int, int]:
    """Return a zigzag varint and the place after it."""
    zigzag = shift = 0
    for place in range(at, min(at + VARINT_BYTES_MAX, len(body))):
        byte = body[place]
        zigzag |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004  (the bit that says a byte follows)
            if zigzag >> bits:
                break
            return (zigzag >> 1) ^ -(zigzag & 1), place + 1
    raise DecodeError(f"byte {at}: expected a number of {bits} bits, found {_shown(body, at)}")


def _index(body: bytes, at: int, count: int, what: str) -> tuple[int, int]:
    found, after = _number(body, at, _BITS["long"])
    if not 0 <= found < count:
        raise DecodeError(f"byte {at}: expected {what} below {count}, found {found}")
    return found, after


def _within(body: bytes, at: int, length: int) -> int:
    if not 0 <= length <= len(body) - at:
        raise DecodeError(f"byte {at}: expected {length} bytes, found {len(body) - at}")
    return at + length


def _shown(body: bytes, at: int) -> str:
    return body[at : at + VARINT_BYTES_MAX].hex() or "the end"
