"""How many bytes Avro takes for each row of a batch, from the columns alone."""

from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.avro.schema import AvroSchema
from headrace.batch import IntArray

_FIXED_BYTES = {"boolean": 1, "float": 4, "double": 8}

VARINT_BYTES_MAX = 10

ONE_BYTE_SYMBOLS_MAX = 64
"""Enum symbols whose index takes one byte."""


def encoded_lengths(records: pa.RecordBatch, schema: AvroSchema) -> IntArray:
    """Return the length of each row as Avro writes it, arrays in one block.

    Shapes:  (records.num_rows,) int64.
    """
    lengths = np.zeros(records.num_rows, np.int64)
    for field, column in zip(schema.fields, records.columns, strict=True):
        _add_column(field["type"], column, lengths)
    return lengths


def _add_column(avro: Any, column: pa.Array, lengths: IntArray) -> None:
    if isinstance(avro, list):
        lengths += 1
        if column.null_count == len(column):
            return
        (kind,) = (branch for branch in avro if branch != "null")
        if column.null_count == 0:
            _add_column(kind, column, lengths)
            return
        present = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        inner = np.zeros(len(present), np.int64)
        _add_column(kind, column.drop_null(), inner)
        lengths[present] += inner
    elif isinstance(avro, dict) and avro["type"] == "enum":
        if len(avro["symbols"]) <= ONE_BYTE_SYMBOLS_MAX:
            lengths += 1
        else:
            indexes = pc.index_in(column, pa.array(avro["symbols"]))
            _add_varints(_numpy(indexes), lengths)
    elif isinstance(avro, dict) and avro["type"] == "array":
        _add_arrays(avro["items"], column, lengths)
    elif isinstance(avro, dict):
        _add_column(avro["type"], column, lengths)
    elif avro in _FIXED_BYTES:
        lengths += _FIXED_BYTES[avro]
    elif avro == "string":
        sizes = _numpy(pc.binary_length(column))
        lengths += sizes
        _add_varints(sizes, lengths)
    else:
        _add_varints(_numpy(column), lengths)


def _add_arrays(items: Any, column: pa.ListArray, lengths: IntArray) -> None:
    """Add what arrays take: their items in one block led by its count, and a closing 0."""
    counts = _numpy(pc.list_value_length(column))
    inner = np.zeros(int(counts.sum()), np.int64)
    _add_column(items, column.flatten(), inner)
    ends = np.cumsum(counts)
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(inner)])
    lengths += total[ends] - total[ends - counts] + 1
    leads = np.zeros(len(counts), np.int64)
    _add_varints(counts, leads)
    lengths += np.where(counts > 0, leads, 0)


def _numpy(column: pa.Array) -> IntArray:
    found: IntArray = column.to_numpy().astype(np.int64, copy=False)
    return found


@numba.njit(cache=True, nogil=True)
def _add_varints(values: IntArray, lengths: IntArray) -> None:
    """Add to each length what its value takes as a zigzag varint, 1 to 10 bytes."""
    for row in range(len(values)):
        zigzag = np.uint64((values[row] << 1) ^ (values[row] >> 63))
        size = 1
        while zigzag >= np.uint64(128):
            zigzag >>= np.uint64(7)
            size += 1
        lengths[row] += size


@numba.njit(cache=True, nogil=True)
def past_varints(body: Any, at: int, count: int, bits: int) -> int:
    """Return the place after so many varints of so many bits; -1 - its place for a bad one."""
    for _ in range(count):
        first = at
        zigzag = np.uint64(0)
        while True:
            if at >= len(body) or at - first >= VARINT_BYTES_MAX:
                return -1 - first
            byte = body[at]
            if at - first == VARINT_BYTES_MAX - 1 and byte > 1:
                return -1 - first
            zigzag |= np.uint64(byte & 0x7F) << np.uint64(7 * (at - first))
            at += 1
            if byte < 0x80:  # noqa: PLR2004  (the bit that says a byte follows)
                break
        if bits < 64 and zigzag >> np.uint64(bits):  # noqa: PLR2004  (all there are)
            return -1 - first
    return at
