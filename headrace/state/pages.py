"""Pages, the pieces in which state is written: their names, and changed ones column by column."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.byte_column import ByteColumn

PageKey: TypeAlias = tuple[str, int]
"""A key of the table and a page number within it: what one changelog record holds."""

Changes: TypeAlias = Mapping[str, Mapping[PageKey, bytes | None]]
"""Changed pages by table; None deletes a page."""

Columns: TypeAlias = tuple[Sequence[bytes], Sequence[bytes | None]]
"""Names of pages, and what each holds; None deletes one."""

SEPARATOR = "\x00"


class RowPages(Mapping[PageKey, bytes | None]):
    """Changed rows of a table, a page each: two columns, which read like a mapping."""

    __slots__ = ("contents", "names")

    def __init__(self, names: Sequence[bytes], rows: npt.NDArray[np.void]) -> None:
        """Take rows and the names of their pages.

        Shapes:  `rows` (n,), contiguous; `names` n.
        """
        size = rows.dtype.itemsize
        ends = np.arange(0, (len(rows) + 1) * size, size, dtype=np.int32)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(rows.view(np.uint8))]
        self.names = names
        self.contents = ByteColumn(pa.Array.from_buffers(pa.binary(), len(rows), buffers))

    def __len__(self) -> int:
        """Return how many rows have changed."""
        return len(self.names)

    def __iter__(self) -> Iterator[PageKey]:
        """Iterate over the pages in the order of the rows."""
        for name in self.names:
            _, key, page = page_name(name)
            yield key, page

    def __getitem__(self, page: PageKey) -> bytes | None:
        """Return the row of a page; looks through all."""
        return dict(zip(self, self.contents, strict=True))[page]

    def items(self) -> Any:
        """Return pages and rows, all made at once."""
        return dict(zip(self, self.contents, strict=True)).items()


def columns_of(changes: Changes) -> list[Columns]:
    """Return changed pages as they are named in the store and in the changelog."""
    return [
        (pages.names, pages.contents)
        if isinstance(pages, RowPages)
        else ([page_bytes(table, key, page) for key, page in pages], list(pages.values()))
        for table, pages in changes.items()
    ]


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
