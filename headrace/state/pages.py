"""Pages, the pieces in which state is written: their names, and changed ones column by column."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.batch import IntArray
from headrace.byte_column import ByteColumn, concat, take

PageKey: TypeAlias = tuple[str, int]
"""A key of the table and a page number within it: what one changelog record holds."""

Changes: TypeAlias = Mapping[str, Mapping[PageKey, bytes | None]]
"""Changed pages by table; None deletes a page."""

Columns: TypeAlias = tuple[Sequence[bytes | None], Sequence[bytes | None]]
"""Names of pages, and what each holds; None deletes one."""

SEPARATOR = "\x00"


class RowPages(Mapping[PageKey, bytes | None]):
    """Changed rows of a table, a page each: two columns, which read like a mapping."""

    __slots__ = ("contents", "names", "numbers")

    def __init__(self, numbers: IntArray, names: ByteColumn, contents: ByteColumn) -> None:
        """Take rows by number, the names of their pages, and what they hold; all of one length."""
        self.numbers = numbers
        self.names = names
        self.contents = contents

    def __len__(self) -> int:
        """Return how many rows have changed."""
        return len(self.names)

    def __iter__(self) -> Iterator[PageKey]:
        """Iterate over the pages in the order of the rows."""
        for name in self.names:
            _, key, page = page_name(name or b"")
            yield key, page

    def __getitem__(self, page: PageKey) -> bytes | None:
        """Return the row of a page; looks through all."""
        rows = dict(zip(self, self.contents, strict=True))
        return rows[page]

    def items(self) -> Any:
        """Return pages and rows, all made at once."""
        return dict(zip(self, self.contents, strict=True)).items()

    @property
    def nbytes(self) -> int:
        """Return how much memory they take."""
        columns = self.names.array.nbytes + self.contents.array.nbytes
        return int(columns + self.numbers.nbytes)


def bytes_of_rows(rows: npt.NDArray[np.void]) -> ByteColumn:
    """Return rows as they lie in memory.

    Shapes:  `rows` (n,), contiguous.
    """
    size = rows.dtype.itemsize
    ends = np.arange(0, (len(rows) + 1) * size, size, dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(rows.view(np.uint8))]
    return ByteColumn(pa.Array.from_buffers(pa.binary(), len(rows), buffers))


def columns_of(changes: Changes) -> list[Columns]:
    """Return changed pages as they are named in the store and in the changelog."""
    return [
        (pages.names, pages.contents)
        if isinstance(pages, RowPages)
        else ([page_bytes(table, key, page) for key, page in pages], list(pages.values()))
        for table, pages in changes.items()
    ]


def newest(changes: Sequence[Mapping[PageKey, bytes | None]]) -> Mapping[PageKey, bytes | None]:
    """Return the changes of a table that count of several, one after the other."""
    rows = [each for each in changes if isinstance(each, RowPages)]
    if len(rows) < len(changes):
        pages: dict[PageKey, bytes | None] = {}
        for each in changes:
            pages.update(each)
        return pages
    return _newest_rows(rows)


def _newest_rows(changes: Sequence[RowPages]) -> RowPages:
    numbers = np.concatenate([each.numbers for each in changes])
    places = np.full(int(numbers.max(initial=-1)) + 1, -1)
    places[numbers] = np.arange(len(numbers))  # of a number that comes again the last stays
    rows = np.flatnonzero(places >= 0)
    last = places[rows]
    names = concat([each.names for each in changes])
    contents = concat([each.contents for each in changes])
    return RowPages(rows, take(names, last), take(contents, last))


def page_bytes(table: str, key: str, page: int) -> bytes:
    """Return the name of a page, in the store and in the changelog."""
    return SEPARATOR.join((table, key, str(page))).encode()


def page_name(name: bytes) -> tuple[str, str, int]:
    """Return table, key and page number of a page's name.

    Raises:  ValueError if it is none.
    """
    try:
        table, rest = name.decode().split(SEPARATOR, 1)
        key, page = rest.rsplit(SEPARATOR, 1)
        return table, key, int(page)
    except ValueError as error:
        raise ValueError(f"expected TABLE, KEY, NUMBER, found {name[:100]!r}") from error
