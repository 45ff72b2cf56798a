"""Turns Arrow columns into PostgreSQL's binary COPY format, whole columns at a time.

Every row of the format is a field count, then each field as its length and its bytes. The columns
of fixed width that are never null stand first and are written as one numpy record array, which
swaps the bytes; the others are joined to it row by row inside Arrow. No Python runs per row.
Source:  PostgreSQL documentation, COPY, "Binary Format".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from headrace.batch import IntArray
from headrace.errors import InvariantError
from headrace.sinks.columns import Column, Kind

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"

_NULL_FIELD = b"\xff\xff\xff\xff"
_JSONB_VERSION = b"\x01"
_EPOCH_OFFSET_US = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000-01-01."""
_EPOCH_OFFSET_DAYS = 10_957

_FIXED: Mapping[Kind, tuple[str, int]] = {
    "boolean": ("u1", 16),
    "integer": (">i4", 23),
    "bigint": (">i8", 20),
    "real": (">f4", 700),
    "double precision": (">f8", 701),
    "timestamp with time zone": (">i8", 1184),
    "date": (">i4", 1082),
}
"""Bytes of a value on the wire, and the type's number in PostgreSQL's catalogue."""

ByteRows = npt.NDArray[np.void]


def copy_order(columns: Sequence[Column]) -> list[Column]:
    """Return the columns as `encode_rows` writes them: fixed width and never null first."""
    return sorted(columns, key=lambda column: not _is_block(column))


def encode_rows(columns: Sequence[Column], values: Mapping[str, pa.Array]) -> memoryview:
    """Return the rows of a binary COPY, without its header and trailer.

    Shapes:  `columns` as `copy_order` gave them; `values` has an array of n items for each.
    Raises:  InvariantError if a column that is never null holds a null.
    """
    block = [column for column in columns if _is_block(column)]
    joined = [_binary(_block_rows(len(columns), block, values))]
    for column in columns[len(block) :]:
        joined += _fields(column, values[column.name])
    if len(joined) == 1:
        return memoryview(joined[0].buffers()[2])
    rows = pc.binary_join_element_wise(
        *joined, b"", null_handling="replace", null_replacement=_NULL_FIELD
    )
    ends = np.frombuffer(rows.buffers()[1], np.int32)
    return memoryview(rows.buffers()[2])[: ends[len(rows)]]


def time_from_ns(times_ns: pa.Array) -> pa.Array:
    """Return UTC nanoseconds as the microseconds of a `time` column, rounded down."""
    return pa.array(np.floor_divide(times_ns.to_numpy(), 1_000)).cast(pa.timestamp("us", "UTC"))


def time_from_ms(times_ms: IntArray) -> pa.Array:
    """Return UTC milliseconds as the microseconds of a `time` column."""
    return pa.array(times_ms * 1_000).cast(pa.timestamp("us", "UTC"))


def _is_block(column: Column) -> bool:
    return column.kind in _FIXED and not column.nullable


def _block_rows(count: int, block: Sequence[Column], values: Mapping[str, pa.Array]) -> ByteRows:
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for index, column in enumerate(block):
        fields += [(f"width{index}", ">i4"), (f"value{index}", _FIXED[column.kind][0])]
    dtype = np.dtype(fields)
    rows = np.empty(len(values[block[0].name]), dtype)
    rows["count"] = count
    for index, column in enumerate(block):
        if values[column.name].null_count:
            raise InvariantError(f"column {column.name} is never null, yet a null was found")
        rows[f"width{index}"] = dtype[f"value{index}"].itemsize
        rows[f"value{index}"] = _plain(column.kind, values[column.name])
    return rows


def _plain(kind: Kind, array: pa.Array) -> npt.NDArray[Any]:
    """Return a column of fixed width as the numbers PostgreSQL stores; nulls as anything."""
    match kind:
        case "timestamp with time zone":
            micros = array.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
            return np.asarray(_filled(micros)) - _EPOCH_OFFSET_US
        case "date":
            days = array.cast(pa.date32()).cast(pa.int32())
            return np.asarray(_filled(days)) - _EPOCH_OFFSET_DAYS
        case "boolean":
            return np.asarray(_filled(array.cast(pa.uint8())))
        case _:
            return np.asarray(_filled(array))


def _filled(array: pa.Array) -> npt.NDArray[Any]:
    # A null's slot holds some value already; numpy may read it, the join puts a null over it.
    if array.null_count:
        array = pc.fill_null(array, 0)
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _fields(column: Column, array: pa.Array) -> list[pa.Array]:
    """Return what is joined for one column: its length and bytes, in one array or several."""
    if column.kind in _FIXED:
        dtype = np.dtype([("width", ">i4"), ("value", _FIXED[column.kind][0])])
        rows = np.empty(len(array), dtype)
        rows["width"] = dtype["value"].itemsize
        rows["value"] = _plain(column.kind, array)
        return [_binary(rows, array)]
    if column.kind.endswith("[]"):
        return _array_fields(column.kind, array)
    if column.kind == "jsonb":
        texts = [None if v is None else _JSONB_VERSION + orjson.dumps(v) for v in array.to_pylist()]
        return _byte_fields(pa.array(texts, pa.binary()))
    return _byte_fields(array.cast(pa.binary()))


def _byte_fields(data: pa.Array) -> list[pa.Array]:
    if not data.null_count:
        return [_binary(pc.binary_length(data).to_numpy().astype(">i4")), data]
    widths = pc.fill_null(pc.binary_length(data), 0).to_numpy().astype(">i4")
    return [_binary(widths, data), pc.fill_null(data, b"")]


def _array_fields(kind: Kind, array: pa.Array) -> list[pa.Array]:
    """Return length and header, dimension (absent in an empty array), and items of an array."""
    item: Kind = kind.removesuffix("[]")  # type: ignore[assignment]  # the names pair up
    wire, oid = _FIXED[item]
    counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy()
    dtype = np.dtype([("width", ">i4"), ("value", wire)])
    items = np.empty(int(counts.sum()), dtype)
    items["width"] = dtype["value"].itemsize
    items["value"] = _plain(item, pc.list_flatten(array))
    header = np.empty(len(array), [(name, ">i4") for name in ("width", "ndim", "nulls", "oid")])
    header["ndim"] = counts > 0
    header["width"] = 12 + 8 * header["ndim"] + dtype.itemsize * counts
    header["nulls"] = 0
    header["oid"] = oid
    sizes = np.empty(int((counts > 0).sum()), [("length", ">i4"), ("lower", ">i4")])
    sizes["length"] = counts[counts > 0]
    sizes["lower"] = 1
    return [
        _binary(header, array),
        _ragged(sizes, counts > 0),
        _ragged(items, counts),
    ]


def _binary(rows: npt.NDArray[Any], like: pa.Array | None = None) -> pa.Array:
    """Return each row's bytes as one value; null where `like` is null."""
    ends = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(rows.dtype.itemsize)
    valid = None
    if like is not None and like.null_count:
        valid = pc.is_valid(like).buffers()[1]
    buffers = [valid, pa.py_buffer(ends), pa.py_buffer(rows)]
    return pa.Array.from_buffers(pa.binary(), len(rows), buffers)


def _ragged(rows: npt.NDArray[Any], counts: npt.NDArray[Any]) -> pa.Array:
    """Return the bytes of `counts[i]` rows as value i."""
    ends = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=ends[1:])
    buffers = [None, pa.py_buffer(ends * np.int32(rows.dtype.itemsize)), pa.py_buffer(rows)]
    return pa.Array.from_buffers(pa.binary(), len(counts), buffers)
