"""Which row each key of a table has: found by columns of keys, without a Python object a key."""

import os
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.batch import IntArray
from headrace.byte_column import ByteColumn, take
from headrace.errors import InvariantError
from headrace.state import row_kernels as kernels
from headrace.state.pages import SEPARATOR

ROWS_MIN = 16
KEY_BYTES = 16
"""Room for a key at first; keys that are longer have more made."""

NAMES_BYTES_MAX = int(np.iinfo(np.int32).max)
_SLOTS_A_ROW = 2
_OFFSET_BYTES = 4
_SEED = np.uint64(int.from_bytes(os.urandom(8), "little"))
"""Of the slots, which nobody sees: rows are numbered as their keys come."""


class RowIndex:
    """Keys and the names of their pages, numbered as they come."""

    def __init__(self, table: str) -> None:
        """Begin without keys, for the table of this name."""
        self._table = table
        self._before = np.frombuffer(f"{table}{SEPARATOR}".encode(), np.uint8)
        self._after = np.frombuffer(f"{SEPARATOR}0".encode(), np.uint8)
        self._count = 0
        self._ends = np.zeros(ROWS_MIN + 1, np.int32)
        self._names = np.empty(ROWS_MIN * self._name_bytes(KEY_BYTES), np.uint8)
        self._hashes = np.empty(ROWS_MIN, np.uint64)
        self._slots = _empty(ROWS_MIN)
        self._column: ByteColumn | None = None

    def __len__(self) -> int:
        """Return how many keys there are."""
        return self._count

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in the order they came."""
        return (self.key(row) for row in range(self._count))

    def key(self, row: int) -> str:
        """Return the key of a row."""
        first, last = self._ends[row] + len(self._before), self._ends[row + 1] - len(self._after)
        return self._names[first:last].tobytes().decode()

    def names(self, rows: IntArray) -> ByteColumn:
        """Return the names of these rows' pages."""
        if self._column is None:
            ends = pa.py_buffer(self._ends[: self._count + 1])
            buffers = [None, ends, pa.py_buffer(self._names)]
            self._column = ByteColumn(pa.Array.from_buffers(pa.binary(), self._count, buffers))
        return take(self._column, rows)

    def find(self, keys: pa.StringArray, *, adds: bool) -> IntArray:
        """Return the rows of these keys; one that is new is added, or is `row_kernels.EMPTY`.

        Raises:  InvariantError if it is a column of something else, if a key is missing, or the
                 names of all take more than 2 GiB.
        """
        if keys.type != pa.string():  # laid out in another way, it would be misread
            raise InvariantError(
                f"table {self._table}: expected a column of string, found {keys.type}; cast it"
            )
        if keys.null_count:
            raise InvariantError(
                f"table {self._table}: expected keys, found {keys.null_count} nulls"
            )
        found = np.empty(len(keys), np.int64)
        if not len(keys):
            return found
        _, offsets, data = keys.buffers()
        at = (offsets.address + _OFFSET_BYTES * keys.offset, data.address if data else 0)
        done = 0
        while True:
            done, count = kernels.find_rows(at, found, done, self._parts(), adds)
            if count != self._count:
                self._count = count
                self._column = None
            if done == len(found):
                return found
            self._make_room(pc.binary_length(keys[done]).as_py())

    def keep(self, count: int) -> None:
        """Forget all keys but the first so many."""
        self._count = count
        self._column = None
        self._slots = _empty(len(self._hashes))
        kernels.fill_slots(self._slots, self._hashes, count)

    def _parts(self) -> kernels.Index:
        names = (self._ends, self._names, self._before, self._after)
        return (_SEED, self._count, self._slots, self._hashes, *names)

    def _make_room(self, key_bytes: int) -> None:
        """Make room for twice as many rows, or for twice as long names, this key's among them."""
        if self._count == len(self._hashes):
            self._ends = np.append(self._ends, np.zeros_like(self._ends[1:]))
            self._hashes = np.append(self._hashes, np.empty_like(self._hashes))
            self.keep(self._count)
        used = int(self._ends[self._count])
        needed = used + self._name_bytes(key_bytes)
        if needed > len(self._names):
            if needed > NAMES_BYTES_MAX:
                raise InvariantError(
                    f"table {self._table}: expected names of {NAMES_BYTES_MAX:,} bytes at most, "
                    f"found more in {self._count:,} keys; have more partitions"
                )
            size = min(max(2 * len(self._names), needed), NAMES_BYTES_MAX)
            longer = np.empty(size, np.uint8)
            longer[:used] = self._names[:used]
            self._names = longer

    def _name_bytes(self, key_bytes: int) -> int:
        return len(self._before) + key_bytes + len(self._after)


def _empty(rows: int) -> npt.NDArray[np.int32]:
    return np.full(_SLOTS_A_ROW * rows, kernels.EMPTY, np.int32)
