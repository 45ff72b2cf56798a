"""What an agent remembers between batches: objects by key, or rows of a numpy array by key."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.batch import IntArray
from headrace.errors import InvariantError, RecordError
from headrace.state.pages import PageKey, RowPages, bytes_of_rows
from headrace.state.row_index import ROWS_MIN, RowIndex
from headrace.state.row_kernels import EMPTY

S = TypeVar("S")

MISSES_MAX = 1_000
"""Keys that a source was asked for and has not, before all its keys are listed: new ones come in
numbers, and would be looked up one by one."""


class PageSource(Protocol):
    """Where the pages of a table lie that count: a store."""

    def pages_of(self, table: str, key: str) -> Mapping[int, bytes]:
        """Return the pages of a key by number; none for a key that is not there."""

    def pages(self, table: str) -> Mapping[PageKey, bytes]:
        """Return all pages of a table."""

    def keys_of(self, table: str) -> Iterable[str]:
        """Return the keys of a table in order; one that has several pages may come again."""


class Codec(Protocol[S]):
    """How an object of an `ObjectTable` is written down, a page at a time.

    An object that is small is one page, number 0. One that is large (a window, a ring) spreads over
    pages so that a commit writes only those that changed since the last `dump`.
    A page that is None is deleted.
    """

    def new(self, key: str) -> S:
        """Return the object of a key that was never seen."""

    def dump(self, state: S) -> Mapping[int, bytes | None]:
        """Return the pages that changed since the last dump or load; all of them after `new`."""

    def load(self, key: str, pages: Mapping[int, bytes]) -> S:
        """Return the object that these pages were dumped from."""


class StructCodec(Generic[S]):
    """One page an object: a msgspec Struct or any type msgspec can write as MessagePack."""

    def __init__(self, kind: type[S], new: Callable[[str], S]) -> None:
        self._new = new
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self.layout = json.dumps(msgspec.json.schema(kind), sort_keys=True)

    def new(self, key: str) -> S:
        """Return the object of a key that was never seen."""
        return self._new(key)

    def dump(self, state: S) -> Mapping[int, bytes | None]:
        """Return the whole object as page 0."""
        return {0: self._encode(state)}

    def load(self, key: str, pages: Mapping[int, bytes]) -> S:  # noqa: ARG002 (the protocol's)
        """Return the object written in page 0."""
        return self._decode(pages[0])


@dataclass(frozen=True, slots=True)
class ObjectTable(Generic[S]):
    """Declares a table of one object a key, `owner.noun_by_key.vN`."""

    name: str
    codec: Codec[S]

    @property
    def layout(self) -> str:
        """Return what tells this way of writing objects from another."""
        # A codec of pages checks them itself; its class is all that can be told from outside.
        return str(getattr(self.codec, "layout", type(self.codec).__qualname__))

    def open(self) -> "ObjectState[S]":
        """Return an empty state of this table."""
        return ObjectState(self)


@dataclass(frozen=True, slots=True)
class RowTable:
    """Declares a table of one numpy record a key, `owner.noun_by_key.vN`.

    `dtype` is a structured dtype of fixed size; a new key's row is all zeros.
    """

    name: str
    dtype: np.dtype[Any]

    @property
    def layout(self) -> str:
        """Return what tells this way of writing rows from another."""
        return str(self.dtype.descr)

    def open(self) -> "RowState":
        """Return an empty state of this table."""
        return RowState(self)


_DAMAGE = (
    RecordError,
    ValueError,  # msgspec's and numpy's: no such value, another size
    LookupError,  # a page that is not there
    TypeError,
    OverflowError,
    RecursionError,
    msgspec.MsgspecError,
)
"""What a codec raises for pages that are not its own."""

Table: TypeAlias = ObjectTable[Any] | RowTable


class ObjectState(Generic[S]):
    """The objects of a table in one partition.

    Objects of an attached source are read when they are first asked for, and even their keys are
    listed only for who wants them all: who takes over a large state goes on at once.
    """

    def __init__(self, table: ObjectTable[S]) -> None:
        self.table = table
        self._objects: dict[str, S | None] = {}
        """None: it lies in the source, and was not read yet."""
        self._source: PageSource | None = None
        self._is_listed = True
        """Whether all keys of the source stand here."""
        self._misses = 0
        self._changed: set[str] = set()
        self._unsettled: set[str] = set()
        """Keys whose changes were returned, and do not count yet."""

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys: those of the source by name, others as they were first seen."""
        self._list()
        return iter(self._objects)

    def __len__(self) -> int:
        """Return how many keys there are."""
        self._list()
        return len(self._objects)

    def read(self, key: str) -> S | None:
        """Return the object of a key for reading, or None."""
        found = self._objects.get(key)
        return self._find(key) if found is None else found

    def edit(self, key: str) -> S:
        """Return the object of a key for changing it in place; a new one if there is none."""
        self._changed.add(key)
        found = self._objects.get(key)
        if found is None:
            found = self._find(key)
        if found is None:
            found = self._objects[key] = self.table.codec.new(key)
        return found

    def changes(self) -> dict[PageKey, bytes | None]:
        """Return the pages changed since the last call."""
        pages: dict[PageKey, bytes | None] = {}
        for key in sorted(self._changed):
            changed = self._objects[key]
            if changed is not None:  # it was edited, so it was read
                for page, value in self.table.codec.dump(changed).items():
                    pages[key, page] = value
        self._unsettled |= self._changed
        self._changed.clear()
        return pages

    def settle(self) -> None:
        """Note that the changes returned so far count: a source has them."""
        self._unsettled.clear()

    def roll_back(self, source: PageSource) -> None:
        """Take every object that was changed since back to what counts: what the source has."""
        for key in self._changed | self._unsettled:
            pages = source.pages_of(self.table.name, key)
            if pages:
                self._objects[key] = self._load(key, pages)
            else:
                del self._objects[key]
        self._changed.clear()
        self._unsettled.clear()

    def attach(self, source: PageSource) -> None:
        """Have the objects that lie in a source; the state must be empty."""
        self._require_empty()
        self._source = source
        self._is_listed = False

    def restore(self, pages: Mapping[PageKey, bytes]) -> None:
        """Take the pages a changelog holds; the state must be empty."""
        self._require_empty()
        by_key: dict[str, dict[int, bytes]] = {}
        for (key, page), value in pages.items():
            by_key.setdefault(key, {})[page] = value
        for key, found in by_key.items():
            self._objects[key] = self._load(key, found)

    def _require_empty(self) -> None:
        if self._objects:
            raise InvariantError(
                f"table {self.table.name} is restored over {len(self._objects)} live keys"
            )

    def _find(self, key: str) -> S | None:
        """Return an object that lies in the source, or None if there is none of this key."""
        if self._source is None or (self._is_listed and key not in self._objects):
            return None
        pages = self._source.pages_of(self.table.name, key)
        if not pages:
            self._misses += 1
            if self._misses > MISSES_MAX:
                self._list()
            return None
        found = self._objects[key] = self._load(key, pages)
        return found

    def _list(self) -> None:
        """Have all keys of the source here; from now on none is looked up that is not there."""
        if not self._is_listed and self._source is not None:
            listed = dict.fromkeys(self._source.keys_of(self.table.name))
            self._objects = {**listed, **self._objects}
            self._is_listed = True

    def _load(self, key: str, pages: Mapping[int, bytes]) -> S:
        try:
            return self.table.codec.load(key, pages)
        except _DAMAGE as error:
            raise InvariantError(
                f"table {self.table.name}, key {key[:100]!r}: expected the pages that the "
                f"table wrote, found {sorted(pages)[:5]}: {type(error).__name__}: "
                f"{str(error)[:200]}; they are damaged or of another version: remove the "
                "state's folder, or raise the table's version"
            ) from error


class RowState:
    """The rows of a table in one partition: `rows[rows_of(keys)]`, changed in place."""

    def __init__(self, table: RowTable) -> None:
        self.table = table
        self._index = RowIndex(table.name)
        self.rows = np.zeros(ROWS_MIN, table.dtype)
        self._changed = np.zeros(ROWS_MIN, np.bool_)
        self._unsettled = np.zeros(ROWS_MIN, np.bool_)
        """By row: whether changes were returned, and do not count yet."""
        self._returned = 0
        self._settled = 0
        """How many keys there were when changes were returned last, and of those that count."""

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in the order they were first seen."""
        return iter(self._index)

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._index)

    def read(self, key: str) -> np.void | None:
        """Return the row of a key for reading, or None."""
        (row,) = self._index.find(pa.array([key], pa.string()), adds=False)
        return None if row == EMPTY else self.rows[row]

    def rows_of(self, keys: pa.StringArray) -> IntArray:
        """Return the row number of each key of a column, adding rows of zeros for new ones.

        Every row returned counts as changed. `rows` may be replaced by this call: index it after.
        """
        found = self._index.find(keys, adds=True)
        while len(self._index) > len(self.rows):
            self.rows = _doubled(self.rows)
            self._changed = _doubled(self._changed)
            self._unsettled = _doubled(self._unsettled)
        self._changed[found] = True
        return found

    def index_of(self, keys: Sequence[str]) -> IntArray:
        """Return the row numbers of these keys: `rows_of` for who has no column."""
        return self.rows_of(pa.array(keys, pa.string()))

    def changes(self) -> Mapping[PageKey, bytes | None]:
        """Return the rows touched since the last call."""
        rows = np.flatnonzero(self._changed)
        self._unsettled |= self._changed
        self._changed[:] = False
        self._returned = len(self._index)
        return RowPages(rows, self._index.names(rows), bytes_of_rows(self.rows[rows]))

    def settle(self) -> None:
        """Note that the changes returned so far count: a source has them."""
        self._unsettled[:] = False
        self._settled = self._returned

    def roll_back(self, source: PageSource) -> None:
        """Take every row that was changed since back to what counts: what the source has."""
        self._index.keep(self._settled)
        self.rows[self._settled :] = np.zeros((), self.table.dtype)
        taken = self._changed | self._unsettled
        for row in np.flatnonzero(taken[: self._settled]).tolist():
            key = self._index.key(row)
            page = source.pages_of(self.table.name, key).get(0, b"")
            self._require_size(key, page)
            self.rows[row] = np.frombuffer(page, self.table.dtype)[0]
        self._changed[:] = False
        self._unsettled[:] = False

    def attach(self, source: PageSource) -> None:
        """Have the rows that lie in a source, all of them now; the state must be empty."""
        self.restore(source.pages(self.table.name))

    def restore(self, pages: Mapping[PageKey, bytes]) -> None:
        """Take the rows a changelog holds; the state must be empty."""
        if len(self):
            raise InvariantError(f"table {self.table.name} is restored over {len(self)} live keys")
        for (key, _), page in pages.items():
            self._require_size(key, page)
        rows = self.index_of([key for key, _ in pages])
        self.rows[rows] = np.frombuffer(b"".join(pages.values()), self.table.dtype)
        self._changed[:] = False
        self._returned = self._settled = len(self._index)

    def _require_size(self, key: str, page: bytes) -> None:
        size = self.table.dtype.itemsize
        if len(page) != size:
            raise InvariantError(
                f"table {self.table.name}, key {key}: expected a row of {size} bytes, "
                f"found {len(page)}; the dtype changed, so raise the table's version"
            )


def _doubled(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([rows, np.zeros_like(rows)])


def layouts_of(tables: Iterable[Table]) -> dict[str, str]:
    """Return by table a short name of how it is written: the same code gives the same name."""
    return {table.name: hashlib.sha256(table.layout.encode()).hexdigest()[:16] for table in tables}


TableState: TypeAlias = ObjectState[Any] | RowState
