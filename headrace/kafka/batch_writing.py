"""Columns of records as rows, and rows as a record batch that a broker takes as it is."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.batch import Headers, IntArray
from headrace.byte_column import column_of
from headrace.kafka import batch_kernels as kernels
from headrace.kafka import write_kernels
from headrace.kafka.produce_wire import Producer
from headrace.kafka.protocol import varint
from headrace.kafka.record_batches import Bytes

PACKED_BYTES_MIN = 1_024
"""Fewer are sent as they are: packing them would take longer than sending them."""

_LZ4 = 3
_FRAME_HEAD = bytes.fromhex("04224d18 60 70 73")
"""Version 1, blocks that do not depend on each other, of up to 4 MiB; and this head's checksum."""
_BLOCK_BYTES = 4 * 2**20
_FRAME_END = bytes(4)
_IS_STORED = 0x8000_0000
_OFFSET_BYTES = 4


@dataclass(frozen=True, slots=True)
class Rows:
    """Records of one partition, to be written in this order.

    Shapes:  `table` (n, RECORD_WORDS): where each lies, of `batch_kernels`; `alive` keeps it there.
    """

    table: IntArray
    alive: object
    bytes: int
    """What they take in a batch that is not packed, at most."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.table)

    def cut(self, bytes_max: int) -> tuple["Rows", "Rows"]:
        """Return those that fit in so many bytes, one at least, and the others."""
        count, size = write_kernels.rows_within(self.table, bytes_max)
        if count == len(self):
            return self, Rows(self.table[count:], self.alive, 0)
        first, rest = self.table[:count], self.table[count:]
        return Rows(first, self.alive, size), Rows(rest, self.alive, self.bytes - size)


def rows_of(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None],
    stamp_ms: int,
    headers: Sequence[Headers] | None = None,
) -> Rows:
    """Return records that are made of these columns, all at one time."""
    table = np.zeros((len(values), kernels.RECORD_WORDS), np.int64)
    table[:, kernels.STAMP] = stamp_ms
    columns = [(kernels.VALUE, column_of(values)), (kernels.KEY, column_of(keys))]
    if headers is not None and any(headers):
        columns.append((kernels.HEADERS, pa.array(map(_written, headers), pa.binary())))
    size = len(table) * write_kernels.RECORD_EXTRA_BYTES_MAX
    size += sum(_point(table, column, items) for column, items in columns)
    table[:, kernels.HEADERS_END] += table[:, kernels.HEADERS]
    return Rows(table, columns, size)


def by_partition(rows: Rows, partitions: IntArray) -> list[tuple[int, Rows]]:
    """Return the records of each partition, in the order they have."""
    first = int(partitions[0])
    if (partitions == first).all():
        return [(first, rows)]
    count = int(partitions.max()) + 1
    table = np.empty_like(rows.table)
    ends, sizes = np.zeros((2, count), np.int64)
    write_kernels.sort_by_partition(rows.table, partitions, table, ends, sizes)
    found = []
    start = 0
    for number, (end, size) in enumerate(zip(ends.tolist(), sizes.tolist(), strict=True)):
        if end > start:
            found.append((number, Rows(table[start:end], rows.alive, size)))
        start = end
    return found


def joined(rows: Sequence[Rows]) -> Rows:
    """Return the records of all, in this order."""
    if len(rows) == 1:
        return rows[0]
    table = np.concatenate([each.table for each in rows])
    return Rows(table, [each.alive for each in rows], sum(each.bytes for each in rows))


def batch_of(
    rows: Rows, producer: Producer, sequence: int, *, is_transactional: bool
) -> memoryview:
    """Return the records as a batch, packed where that is worth it."""
    batch = np.empty(kernels.BATCH_BYTES_MIN + rows.bytes, np.uint8)
    body_at = batch.ctypes.data + kernels.BATCH_BYTES_MIN
    size = write_kernels.write_records(rows.table, body_at) - body_at
    attributes = kernels.IS_TRANSACTIONAL if is_transactional else 0
    if size >= PACKED_BYTES_MIN:
        body = batch[kernels.BATCH_BYTES_MIN :][:size]
        packed = np.frombuffer(lz4_frame(body), np.uint8)
        if len(packed) < size:
            body[: len(packed)] = packed
            size = len(packed)
            attributes |= _LZ4
    writer = np.array([*producer, sequence], np.int64)
    write_kernels.seal(batch.ctypes.data, size, attributes, rows.table, writer)
    return memoryview(batch.data)[: kernels.BATCH_BYTES_MIN + size]


def lz4_frame(body: Bytes) -> bytes:
    """Return bytes as one LZ4 frame.

    Arrow's own frames have blocks that depend on each other, which Kafka does not read.
    Source:  LZ4's frame format 1.6.4.
    """
    codec = pa.Codec("lz4_raw")
    parts = [_FRAME_HEAD]
    for start in range(0, len(body), _BLOCK_BYTES):
        block = body[start : start + _BLOCK_BYTES]
        packed = codec.compress(pa.py_buffer(block), asbytes=True)
        if len(packed) < len(block):
            parts += [struct.pack("<I", len(packed)), packed]
        else:
            parts += [struct.pack("<I", len(block) | _IS_STORED), block.tobytes()]
    return b"".join([*parts, _FRAME_END])


def _point(table: IntArray, column: int, items: pa.BinaryArray) -> int:
    """Write where each item lies and how long it is; return how long all are."""
    if not len(items):
        return 0
    _, offsets, data = items.buffers()
    offsets_at = offsets.address + _OFFSET_BYTES * items.offset
    size = write_kernels.lay_out(table, column, offsets_at, data.address if data else 0)
    if items.null_count:
        table[np.asarray(items.is_null()), column + 1] = -1
    return size


def _written(headers: Headers) -> bytes:
    """Return headers as they lie in a record: their count, and each one's name and content."""
    parts = [_zigzag(len(headers))]
    for name, content in headers:
        encoded = name.encode()
        parts += [_zigzag(len(encoded)), encoded]
        parts.append(_zigzag(-1) if content is None else _zigzag(len(content)) + content)
    return b"".join(parts)


def _zigzag(number: int) -> bytes:
    return varint(number << 1 ^ number >> 63)
