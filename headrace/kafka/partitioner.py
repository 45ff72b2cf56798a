"""Which partition a key belongs to, as Java's default partitioner has it."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from headrace.batch import IntArray
from headrace.byte_column import column_of

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
WORD = 0xFFFFFFFF
POSITIVE = 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key among so many."""
    return int(partitions_of([key], partitions)[0])


def partitions_of(keys: Sequence[bytes | None], partitions: int) -> IntArray:
    """Return the partition of each key among so many; a key that is missing counts as empty."""
    column = column_of(keys)
    _, offsets_buffer, data_buffer = column.buffers()
    found = np.empty(len(column), np.int64)
    if len(column):
        data = np.frombuffer(data_buffer or b"", np.uint8)
        offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset :]
        _fill_partitions(data, offsets, partitions, found)
    return found


def murmur2(data: bytes) -> int:
    """Return the 32-bit MurmurHash2 of these bytes, unsigned.

    Source:  Austin Appleby's MurmurHash2, with the seed Kafka's Java client uses.
    """
    return int(_murmur2(np.frombuffer(data, np.uint8), 0, len(data)))


@numba.njit(cache=True, nogil=True)
def _murmur2(data: Any, first: int, end: int) -> int:
    mixed = SEED ^ (end - first)
    tail = end - ((end - first) & 3)
    for start in range(first, tail, 4):
        word = _word(data, start, start + 4) * MULTIPLIER & WORD
        word = (word ^ word >> 24) * MULTIPLIER & WORD
        mixed = (mixed * MULTIPLIER & WORD) ^ word
    if tail < end:
        mixed = (mixed ^ _word(data, tail, end)) * MULTIPLIER & WORD
    mixed = (mixed ^ mixed >> 13) * MULTIPLIER & WORD
    return mixed ^ mixed >> 15


@numba.njit(cache=True, nogil=True, inline="always")
def _word(data: Any, first: int, end: int) -> int:
    """Return bytes as a number, the lowest first."""
    word = 0
    for place in range(end - 1, first - 1, -1):
        word = word << 8 | int(data[place])
    return word


@numba.njit(cache=True, nogil=True)
def _fill_partitions(data: Any, offsets: Any, partitions: int, found: IntArray) -> None:
    for row in range(len(found)):
        found[row] = (_murmur2(data, offsets[row], offsets[row + 1]) & POSITIVE) % partitions
