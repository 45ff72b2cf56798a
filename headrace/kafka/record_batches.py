"""The records of one partition in an answer of the broker: checked, unpacked, as columns."""

import ctypes
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.batch import Headers, IntArray
from headrace.byte_column import ByteColumn
from headrace.errors import InvariantError
from headrace.kafka import batch_kernels as kernels
from headrace.kafka import lz4_kernel as lz4
from headrace.kafka.fetched import Place, RawPart

Bytes = npt.NDArray[np.uint8]

UNPACKED_BYTES_MAX = 2**30
"""Of the batches of one partition in one answer, of which a few MiB packed are asked for."""

COLUMN_BYTES_MAX = 2**31 - 1
"""What the offsets of Arrow's binary type can tell."""

_NONE, _GZIP, _SNAPPY, _LZ4, _ZSTD = range(5)
_XERIAL = b"\x82SNAPPY\x00"
_ABORT = 0
_MARKER_KEY_BYTES = 4
_GOES_ON = 0x80
_SNAPPY_SIZE_BYTES_MAX = 5
_SNAPPY_GROWTH_MAX = 64
"""A copy of 64 bytes takes at least two: no block grows more."""
_WRONG = {
    kernels.UNKNOWN_FORMAT: "a record batch is not of version 2",
    kernels.BAD_CHECKSUM: "a record batch does not have the checksum it says",
    kernels.BAD_RECORD: "a record does not end where its batch does",
}


@dataclass(frozen=True, slots=True)
class Aborted:
    """A transaction that was taken back: its producer, and from where it wrote."""

    producer: int
    first_offset: int


def read_part(
    data: Bytes, size: int, place: Place, wanted_from: int, aborted: Sequence[Aborted]
) -> tuple[RawPart | None, int]:
    """Return the records from an offset on that count, and the offset wanted next.

    Shapes:  `data` holds `size` bytes of record batches and SLACK_BYTES more.
    Raises:  InvariantError if a batch is broken, or packed in a way that is not known.
    """
    batches = np.empty((size // kernels.BATCH_BYTES_MIN + 1, kernels.BATCH_WORDS), np.int64)
    count = kernels.scan_batches(data.ctypes.data, size, batches)
    if count < 0:
        raise _broken(place, wanted_from, _WRONG[count])
    if not count:
        return None, wanted_from
    batches = batches[:count]
    next_offset = max(wanted_from, int(batches[-1, kernels.NEXT_OFFSET]))
    counting = _counting(batches, aborted)
    counting &= batches[:, kernels.NEXT_OFFSET] > wanted_from
    batches = batches[counting]
    kept = _unpack(batches, place, wanted_from)
    most = batches[:, kernels.BODY_BYTES] // kernels.RECORD_BYTES_MIN
    if (batches[:, kernels.RECORDS] > most).any():
        raise _broken(place, wanted_from, "a record batch says it has more records than fit in it")
    rows = np.empty((int(batches[:, kernels.RECORDS].sum()) + 1, kernels.RECORD_WORDS), np.int64)
    found = kernels.read_records(batches, wanted_from, rows)
    if found < 0:
        raise _broken(place, wanted_from, _WRONG[found])
    part = _part(rows[:found], place) if found else None
    del kept  # what the rows point into
    return part, next_offset


@cache
def compile_kernels() -> None:
    """Run the kernels on next to nothing, as they are compiled when they are first called.

    Once a process is enough.
    """
    nothing = np.zeros(lz4.SLACK_BYTES, np.uint8)
    at = nothing.ctypes.data
    kernels.scan_batches(at, 0, np.empty((1, kernels.BATCH_WORDS), np.int64))
    rows = np.empty((0, kernels.RECORD_WORDS), np.int64)
    kernels.read_records(np.empty((0, kernels.BATCH_WORDS), np.int64), 0, rows)
    _part(rows, ("", 0))
    kernels.header_parts(at, at + 1, np.empty((kernels.header_count(at, at + 1), 4), np.int64))
    if lz4.room_of_frame(at, 0) == lz4.BAD:
        lz4.unpack_frame(at, 0, at, 0)


def _counting(batches: IntArray, aborted: Sequence[Aborted]) -> npt.NDArray[np.bool_]:
    """Return which batches hold records that count: no markers, nothing that was taken back."""
    attributes = batches[:, kernels.ATTRIBUTES]
    is_control = (attributes & kernels.IS_CONTROL) != 0
    counting: npt.NDArray[np.bool_] = ~is_control
    if not aborted:
        return counting
    waiting = sorted(aborted, key=lambda one: one.first_offset, reverse=True)
    open_producers: set[int] = set()
    for number, batch in enumerate(batches.tolist()):
        while waiting and waiting[-1].first_offset < batch[kernels.NEXT_OFFSET]:
            open_producers.add(waiting.pop().producer)
        producer = batch[kernels.PRODUCER]
        if is_control[number]:
            if _is_abort(batch):
                open_producers.discard(producer)
        elif batch[kernels.ATTRIBUTES] & kernels.IS_TRANSACTIONAL and producer in open_producers:
            counting[number] = False
    return counting


def _is_abort(batch: Sequence[int]) -> bool:
    """Say whether a marker takes its transaction back: its key is a version and a kind."""
    if batch[kernels.RECORDS] != 1:
        return False
    rows = np.empty((2, kernels.RECORD_WORDS), np.int64)
    only = np.array([batch], np.int64)
    if kernels.read_records(only, 0, rows) != 1 or rows[0, kernels.KEY_BYTES] < _MARKER_KEY_BYTES:
        return False
    key = ctypes.string_at(int(rows[0, kernels.KEY]), _MARKER_KEY_BYTES)
    return int.from_bytes(key[2:], "big") == _ABORT


def _unpack(batches: IntArray, place: Place, wanted_from: int) -> list[object]:
    """Have each batch's BODY be its records; return what holds them."""
    codecs = batches[:, kernels.ATTRIBUTES] & kernels.CODEC
    packed = np.flatnonzero(codecs != _NONE).tolist()
    if not packed:
        return []
    if (codecs[packed] == _LZ4).all():
        return [_unpack_lz4(batches, packed, place, wanted_from)]
    kept: list[object] = []
    for number in packed:
        if codecs[number] == _LZ4:
            kept.append(_unpack_lz4(batches, [number], place, wanted_from))
            continue
        body = ctypes.string_at(
            int(batches[number, kernels.BODY]), int(batches[number, kernels.BODY_BYTES])
        )
        try:
            unpacked = np.frombuffer(unpacked_by(int(codecs[number]), body), np.uint8)
        except (OSError, ValueError, KeyError, zlib.error) as error:
            raise _broken(place, wanted_from, f"codec {codecs[number]}: {error!r}") from error
        batches[number, kernels.BODY] = unpacked.ctypes.data
        batches[number, kernels.BODY_BYTES] = len(unpacked)
        kept.append(unpacked)
        if int(batches[packed, kernels.BODY_BYTES].sum()) > UNPACKED_BYTES_MAX:
            raise _broken(place, wanted_from, f"it unpacks to over {UNPACKED_BYTES_MAX:,} bytes")
    return kept


def _unpack_lz4(batches: IntArray, numbers: Sequence[int], place: Place, wanted_from: int) -> Bytes:
    bodies = batches[numbers][:, [kernels.BODY, kernels.BODY_BYTES]].tolist()
    rooms = [lz4.room_of_frame(*body) for body in bodies]
    if lz4.BAD in rooms or sum(rooms) > UNPACKED_BYTES_MAX:
        raise _broken(place, wanted_from, "a record batch is no LZ4 frame, or far too large")
    unpacked = np.empty(sum(rooms) + lz4.SLACK_BYTES, np.uint8)
    to = unpacked.ctypes.data
    for number, body, room in zip(numbers, bodies, rooms, strict=True):
        size = lz4.unpack_frame(body[0], body[1], to, room)
        if size == lz4.BAD:
            raise _broken(place, wanted_from, "a record batch's LZ4 frame is broken")
        batches[number, kernels.BODY], batches[number, kernels.BODY_BYTES] = to, size
        to += size
    return unpacked


def unpacked_by(codec: int, body: bytes) -> bytes:
    """Return the records of a batch that is packed otherwise than with LZ4.

    Raises:  OSError, ValueError, KeyError or zlib.error if it is broken or the codec not known.
    """
    if codec == _GZIP:
        return _not_too_large(zlib.decompressobj(wbits=31).decompress(body, UNPACKED_BYTES_MAX))
    if codec == _SNAPPY:
        return _unpacked_snappy(body)
    name = {_ZSTD: "zstd"}[codec]
    with pa.CompressedInputStream(pa.BufferReader(body), name) as stream:
        return _not_too_large(stream.read(UNPACKED_BYTES_MAX))


def _not_too_large(unpacked: bytes) -> bytes:
    if len(unpacked) == UNPACKED_BYTES_MAX:
        raise ValueError(f"it unpacks to {UNPACKED_BYTES_MAX:,} bytes or more")
    return unpacked


def _unpacked_snappy(body: bytes) -> bytes:
    """Return what one snappy block holds, or the blocks of Java's framing."""
    snappy = pa.Codec("snappy")
    blocks = []
    if not body.startswith(_XERIAL):
        blocks = [body]
    else:
        at = 16
        while at < len(body):
            size = int.from_bytes(body[at : at + 4], "big")
            blocks.append(body[at + 4 : at + 4 + size])
            at += 4 + size
    return b"".join(snappy.decompress(b, _snappy_size(b), asbytes=True) for b in blocks)


def _snappy_size(block: bytes) -> int:
    """Return the size a snappy block begins with.

    Raises:  ValueError if a block of its length cannot unpack to that.
    """
    size = 0
    for place, byte in enumerate(block[:_SNAPPY_SIZE_BYTES_MAX]):
        size |= (byte & ~_GOES_ON) << 7 * place
        if not byte & _GOES_ON:
            break
    if size > _SNAPPY_GROWTH_MAX * len(block):
        raise ValueError(f"a block of {len(block)} bytes says it unpacks to {size}")
    return size


def _part(rows: IntArray, place: Place) -> RawPart:
    headers: list[Headers] | None = None
    if rows[:, kernels.HEADERS].any():
        headers = [_headers(at, end) for at, end in rows[:, kernels.HEADERS :].tolist()]
    return RawPart(
        *place,
        _column(rows, kernels.VALUE),
        _column(rows, kernels.KEY),
        rows[:, kernels.OFFSET].copy(),
        rows[:, kernels.STAMP].copy(),
        headers,
    )


def _column(rows: IntArray, column: int) -> ByteColumn:
    count = len(rows)
    size = int(np.maximum(rows[:, column + 1], 0).sum())
    if size > COLUMN_BYTES_MAX:
        raise InvariantError(
            f"records of one partition: expected at most {COLUMN_BYTES_MAX:,} bytes at once, found "
            f"{size:,}; whoever wrote them packed too much together"
        )
    data = np.empty(size, np.uint8)
    offsets = np.empty(count + 1, np.int32)
    is_null = np.empty(count, np.bool_)
    kernels.gather_column(rows, column, data, offsets, is_null)
    mask = (
        pa.py_buffer(np.packbits(~is_null, bitorder="little").tobytes()) if is_null.any() else None
    )
    buffers = [mask, pa.py_buffer(offsets), pa.py_buffer(data)]
    return ByteColumn(pa.Array.from_buffers(pa.binary(), count, buffers))


def _headers(at: int, end: int) -> Headers:
    """Return the headers of a record; none if it has none."""
    if not at:
        return []
    count = kernels.header_count(at, end)
    parts = np.empty((count, 4), np.int64)
    if not kernels.header_parts(at, end, parts):
        raise InvariantError("a record's headers do not end where it does")
    return [
        (
            ctypes.string_at(name, name_bytes).decode(errors="replace"),
            ctypes.string_at(content, max(0, content_bytes)),
        )
        for name, name_bytes, content, content_bytes in parts.tolist()
    ]


def _broken(place: Place, offset: int, what: str) -> InvariantError:
    topic, partition = place
    return InvariantError(
        f"topic {topic}, partition {partition}, at offset {offset} or behind: {what}; the log is "
        "damaged, or its records were written by something this version cannot read"
    )
