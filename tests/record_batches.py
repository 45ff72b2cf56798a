"""Record batches as a broker keeps them, written from the format's description."""

import gzip
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


@dataclass(frozen=True)
class Written:
    """A record as it is written."""

    offset: int
    stamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def varint(number: int) -> bytes:
    zigzag = number << 1 if number >= 0 else ~(number << 1)
    found = bytearray()
    while zigzag > 0x7F:
        found.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes([*found, zigzag])


def sized(content: bytes | None) -> bytes:
    return varint(-1) if content is None else varint(len(content)) + content


def record(written: Written, first_offset: int, first_stamp_ms: int) -> bytes:
    body = b"\0" + varint(written.stamp_ms - first_stamp_ms)
    body += varint(written.offset - first_offset) + sized(written.key) + sized(written.value)
    body += varint(len(written.headers))
    body += b"".join(sized(name.encode()) + sized(content) for name, content in written.headers)
    return varint(len(body)) + body


def packed(codec: str, body: bytes) -> bytes:
    if codec == "none":
        return body
    if codec == "gzip":
        return gzip.compress(body)
    found: bytes = pa.Codec(codec).compress(body, asbytes=True)
    return found


def batch(
    records: Sequence[Written],
    codec: str = "none",
    *,
    producer: int = -1,
    is_control: bool = False,
    log_time_ms: int | None = None,
) -> bytes:
    first, last = records[0], records[-1]
    stamps = [one.stamp_ms for one in records]
    attributes = CODECS[codec] | (0x10 if producer >= 0 else 0) | (0x20 if is_control else 0)
    attributes |= 0x08 if log_time_ms is not None else 0
    body = packed(codec, b"".join(record(r, first.offset, first.stamp_ms) for r in records))
    checked = struct.pack(
        ">hiqqqhii",
        attributes,
        last.offset - first.offset,
        first.stamp_ms,
        max(stamps) if log_time_ms is None else log_time_ms,
        producer,
        0,
        0,
        len(records),
    )
    return sealed(first.offset, checked + body)


def marker(offset: int, producer: int, *, is_abort: bool) -> bytes:
    key = struct.pack(">hh", 0, 0 if is_abort else 1)
    return batch([Written(offset, 5, key, b"\0" * 6)], producer=producer, is_control=True)


def sealed(first_offset: int, checked: bytes) -> bytes:
    head = struct.pack(">qiib", first_offset, len(checked) + 9, 0, 2)
    return head + struct.pack(">I", crc32c(checked)) + checked


def crc32c(content: bytes) -> int:
    """Return the checksum bit by bit."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
