"""Keys and values of many records in one buffer, which read like a sequence of bytes."""

from collections.abc import Iterator, Sequence
from typing import overload

import pyarrow as pa

from headrace.batch import IntArray
from headrace.errors import InvariantError


class ByteColumn(Sequence[bytes | None]):
    """An Arrow array of binary as a sequence; an item becomes an object only when asked for."""

    __slots__ = ("array",)

    def __init__(self, array: pa.BinaryArray) -> None:
        """Take items of any size, missing ones among them.

        Raises:  InvariantError if it is an array of something else.
        """
        if array.type != pa.binary():
            raise InvariantError(f"records: expected a column of binary, found {array.type}")
        self.array = array

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self.array)

    @overload
    def __getitem__(self, index: int) -> bytes | None: ...

    @overload
    def __getitem__(self, index: slice) -> "ByteColumn": ...

    def __getitem__(self, index: int | slice) -> "bytes | ByteColumn | None":
        """Return one item, or those of a slice without copying them."""
        if isinstance(index, slice):
            return ByteColumn(self.array[index])
        found: bytes | None = self.array[index].as_py()
        return found

    def __iter__(self) -> Iterator[bytes | None]:
        """Iterate over the items, all made at once."""
        return iter(self.array.to_pylist())

    def __eq__(self, other: object) -> bool:
        """Say whether the other sequence has the same items."""
        if not isinstance(other, Sequence) or isinstance(other, bytes | str):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list's


def column_of(values: Sequence[bytes | None]) -> pa.BinaryArray:
    """Return the items as an Arrow array: the one they lie in, or a new one."""
    if isinstance(values, ByteColumn):
        return values.array
    return pa.array(values, pa.binary())


def take(values: Sequence[bytes | None], rows: IntArray) -> ByteColumn:
    """Return the items at these places."""
    return ByteColumn(column_of(values).take(pa.array(rows)))


def concat(columns: Sequence[Sequence[bytes | None]]) -> ByteColumn:
    """Return the items of all, in this order."""
    return ByteColumn(pa.concat_arrays([column_of(values) for values in columns]))
