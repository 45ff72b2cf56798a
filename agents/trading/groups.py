"""Rows of a batch by instrument, and which of them are new: the vectorised half of the agents."""

import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray


def rows_by_name(names: pa.Array) -> tuple[list[str], list[IntArray]]:
    """Return the distinct names in order of appearance, and the rows of each in ascending order."""
    encoded = names if pa.types.is_dictionary(names.type) else names.dictionary_encode()
    dictionary: list[str] = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy()
    if len(dictionary) == 1:
        return dictionary, [np.arange(len(codes), dtype=np.int64)]
    # NumPy sorts 16-bit integers by radix: linear, where a comparison sort would dominate.
    sortable = codes.astype(np.int16) if len(dictionary) < np.iinfo(np.int16).max else codes
    order = np.argsort(sortable, kind="stable")
    counts = np.bincount(codes, minlength=len(dictionary))
    groups = np.split(order, np.cumsum(counts)[:-1])
    found = [(dictionary[code], rows) for code, rows in enumerate(groups) if len(rows)]
    return [name for name, _ in found], [rows for _, rows in found]


def fresh_sequences(sequences: IntArray, last: int) -> BoolArray:
    """Say which sequences are above all before them and above `last`: the rest are repeats."""
    before = np.empty(len(sequences), np.int64)
    before[0] = last
    np.maximum.accumulate(sequences[:-1], out=before[1:])
    np.maximum(before, last, out=before)
    return np.asarray(sequences > before, np.bool_)
