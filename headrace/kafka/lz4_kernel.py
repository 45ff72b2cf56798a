"""LZ4 frames, as record batches are packed, unpacked into memory that was set aside for it.

Checksums of the format are not looked at: a record batch has its own over all of them.
Source:  LZ4's frame format 1.6.4 and block format.
"""

from headrace import memory
from headrace.compiled import compiled
from headrace.memory import (
    copy_bytes,
    inlined,
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    store_u8,
    store_u64,
    whole,
)

SLACK_BYTES = 16
"""May be read behind the packed bytes and written behind the unpacked ones."""

BAD = -1

_MAGIC = 0x184D2204
_HEADER_BYTES = 7
_VERSION, _VERSION_1 = 0xC0, 0x40
_BLOCK_CHECKSUM, _CONTENT_SIZE, _CONTENT_CHECKSUM, _DICTIONARY = 0x10, 0x08, 0x04, 0x01
_IS_STORED = 0x8000_0000
_GROWTH_MAX = 255
"""A byte of a block unpacks to no more."""
_NIBBLE = 15
_MATCH_BYTES_MIN = 4
_WORD_BYTES = 8
_SIZE_BYTES = 4
_DISTANCE_BYTES = 2
_BYTE_MAX = 255


@inlined
def _first_block(at: int, end: int) -> int:
    """Return where the blocks of a frame begin, BAD if it is not one without a dictionary."""
    if end - at < _HEADER_BYTES or load_u32(at) != _MAGIC:
        return BAD
    flags = whole(load_u8(at + 4))
    if flags & _VERSION != _VERSION_1 or flags & _DICTIONARY:
        return BAD
    return at + _HEADER_BYTES + (8 if flags & _CONTENT_SIZE else 0)


@inlined
def _block_bytes_max(at: int) -> int:
    """Return how much a block of the frame at `at` may unpack to: 64 KiB to 4 MiB."""
    found: int = whole(1 << (8 + 2 * (whole(load_u8(at + 5)) >> 4 & 7)))
    return found


@compiled(memory)
def room_of_frame(at: int, size: int) -> int:
    """Return how many bytes a frame unpacks to at most, BAD if it is none."""
    end = at + size
    most = _block_bytes_max(at) if size >= _HEADER_BYTES else 0
    trailer = 4 if size >= _HEADER_BYTES and load_u8(at + 4) & _BLOCK_CHECKSUM else 0
    at = _first_block(at, end)
    room = 0
    while at != BAD:
        if end - at < _SIZE_BYTES:
            return BAD
        word = whole(load_u32(at))
        at += 4
        if word == 0:
            return room
        length = word & ~_IS_STORED
        if length > end - at:
            return BAD
        room += length if word & _IS_STORED else min(most, _GROWTH_MAX * length)
        at += length + trailer
    return BAD


@compiled(memory)
def unpack_frame(at: int, size: int, to: int, room: int) -> int:
    """Unpack a frame to the address `to`; return how many bytes that is, BAD if it is broken.

    `room` is what `room_of_frame` said; SLACK_BYTES lie behind it, and behind the frame.
    """
    end, first, limit = at + size, to, to + room
    trailer = 4 if load_u8(at + 4) & _BLOCK_CHECKSUM else 0
    content_trailer = 4 if load_u8(at + 4) & _CONTENT_CHECKSUM else 0
    at = _first_block(at, end)
    if at == BAD:
        return BAD
    while True:
        word = whole(load_u32(at))
        at += 4
        if word == 0:
            return to - first if at + content_trailer == end else BAD
        length = word & ~_IS_STORED
        if word & _IS_STORED:
            if length > limit - to:
                return BAD
            copy_bytes(to, at, length)
            to += length
        else:
            to = _unpack_block(at, at + length, to, first, limit)
            if to == BAD:
                return BAD
        at += length + trailer


@inlined
def _length(at: int, end: int, length: int) -> tuple[int, int]:
    """Return a length that may go on in bytes of 255, and the place behind it, BAD if it ends."""
    if length != _NIBBLE:
        return length, at
    while True:
        if at >= end:
            return 0, BAD
        more = whole(load_u8(at))
        at += 1
        length += more
        if more != _BYTE_MAX:
            return length, at


@inlined
def _unpack_block(at: int, end: int, to: int, first: int, limit: int) -> int:
    """Return the place behind what a block unpacks to; matches reach back to `first`."""
    while at < end:
        token = whole(load_u8(at))
        length, at = _length(at + 1, end, token >> 4)
        if at == BAD or length > end - at or length > limit - to:
            return BAD
        for place in range(0, length, _WORD_BYTES):
            store_u64(to + place, load_u64(at + place))
        at += length
        to += length
        if at == end:
            return to
        if end - at < _DISTANCE_BYTES:
            return BAD
        distance = whole(load_u16(at))
        length, at = _length(at + 2, end, token & _NIBBLE)
        length += _MATCH_BYTES_MIN
        if at == BAD or distance == 0 or distance > to - first or length > limit - to:
            return BAD
        if distance >= _WORD_BYTES:
            for place in range(0, length, _WORD_BYTES):
                store_u64(to + place, load_u64(to + place - distance))
        else:
            for place in range(length):
                store_u8(to + place, load_u8(to + place - distance))
        to += length
    return BAD
