"""How many bytes Avro takes for each row of a batch, from the columns alone."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.avro.schema import AvroSchema
from headrace.batch import IntArray

_FIXED_BYTES = {"boolean": 1, "float": 4, "double": 8}


def encoded_lengths(records: pa.RecordBatch, schema: AvroSchema) -> IntArray:
    """Return the length of each row as Avro writes it, arrays in one block.

    Shapes:  (records.num_rows,) int64.
    """
    lengths = np.zeros(records.num_rows, np.int64)
    for field, column in zip(schema.fields, records.columns, strict=True):
        lengths += _column_lengths(field["type"], column)
    return lengths


def _column_lengths(avro: Any, column: pa.Array) -> IntArray | int:
    if isinstance(avro, list):
        (kind,) = (branch for branch in avro if branch != "null")
        present = column.is_valid().to_numpy(zero_copy_only=False)
        inner = _column_lengths(kind, column.fill_null(_zero(column.type)))
        return 1 + np.where(present, inner, 0)
    if isinstance(avro, dict):
        if avro["type"] == "enum":
            # Symbols up to the 64th take one byte.
            return 1 if len(avro["symbols"]) <= 64 else _enum_lengths(avro["symbols"], column)
        if avro["type"] == "array":
            return _array_lengths(avro["items"], column)
        return _column_lengths(avro["type"], column)
    if avro in _FIXED_BYTES:
        return _FIXED_BYTES[avro]
    if avro == "string":
        sizes = pc.binary_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
        return sizes + varint_lengths(sizes)
    return varint_lengths(column.to_numpy(zero_copy_only=False).astype(np.int64, copy=False))


def _array_lengths(items: Any, column: pa.ListArray) -> IntArray:
    counts = pc.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
    values = column.flatten()
    inner = np.broadcast_to(np.asarray(_column_lengths(items, values)), (len(values),))
    ends = np.cumsum(counts)
    total = np.concatenate([[0], np.cumsum(inner)])
    bodies = total[ends] - total[ends - counts]
    # An array is its blocks, each led by its count, and a closing 0; an empty one is the 0 alone.
    return np.where(counts > 0, varint_lengths(counts) + bodies, 0) + 1


def _enum_lengths(symbols: list[str], column: pa.Array) -> IntArray:
    indexes = pc.index_in(column, pa.array(symbols)).to_numpy(zero_copy_only=False)
    return varint_lengths(indexes.astype(np.int64))


def varint_lengths(values: IntArray) -> IntArray:
    """Return how many bytes each value takes as a zigzag varint, 1 to 10."""
    zigzag = ((values << 1) ^ (values >> 63)).view(np.uint64)
    lengths = np.ones(len(values), np.int64)
    for bits in range(7, 64, 7):
        more = zigzag >= np.uint64(1 << bits)
        if not more.any():
            break
        lengths += more
    return lengths


def _zero(kind: pa.DataType) -> pa.Scalar:
    return pa.scalar("" if pa.types.is_string(kind) else 0, kind)
