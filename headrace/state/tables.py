"""What an agent remembers between batches: objects by key, or rows of a numpy array by key."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec
import numpy as np

from headrace.batch import IntArray
from headrace.errors import InvariantError, RecordError

S = TypeVar("S")

PageKey: TypeAlias = tuple[str, int]
"""A key of the table and a page number within it: what one changelog record holds."""


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
    """The objects of a table in one partition."""

    def __init__(self, table: ObjectTable[S]) -> None:
        self.table = table
        self._objects: dict[str, S] = {}
        self._changed: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in the order they were first seen."""
        return iter(self._objects)

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._objects)

    def read(self, key: str) -> S | None:
        """Return the object of a key for reading, or None."""
        return self._objects.get(key)

    def edit(self, key: str) -> S:
        """Return the object of a key for changing it in place; a new one if there is none."""
        self._changed.add(key)
        found = self._objects.get(key)
        if found is None:
            found = self._objects[key] = self.table.codec.new(key)
        return found

    def changes(self) -> dict[PageKey, bytes | None]:
        """Return the pages changed since the last call."""
        pages = {
            (key, page): value
            for key in sorted(self._changed)
            for page, value in self.table.codec.dump(self._objects[key]).items()
        }
        self._changed.clear()
        return pages

    def restore(self, pages: Mapping[PageKey, bytes]) -> None:
        """Take the pages a store or a changelog holds; the state must be empty."""
        if self._objects:
            raise InvariantError(f"table {self.table.name} is restored over {len(self)} live keys")
        by_key: dict[str, dict[int, bytes]] = {}
        for (key, page), value in pages.items():
            by_key.setdefault(key, {})[page] = value
        for key, found in by_key.items():
            try:
                self._objects[key] = self.table.codec.load(key, found)
            except _DAMAGE as error:
                raise InvariantError(
                    f"table {self.table.name}, key {key[:100]!r}: expected the pages that the "
                    f"table wrote, found {sorted(found)[:5]}: {type(error).__name__}: "
                    f"{str(error)[:200]}; they are damaged or of another version: remove the "
                    "state's folder, or raise the table's version"
                ) from error


class RowState:
    """The rows of a table in one partition: `rows[index_of(keys)]`, changed in place."""

    def __init__(self, table: RowTable) -> None:
        self.table = table
        self._index: dict[str, int] = {}
        self._keys: list[str] = []
        self._changed: set[int] = set()
        self.rows = np.zeros(16, table.dtype)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in the order they were first seen."""
        return iter(self._keys)

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._keys)

    def read(self, key: str) -> np.void | None:
        """Return the row of a key for reading, or None."""
        index = self._index.get(key)
        return None if index is None else self.rows[index]

    def index_of(self, keys: Sequence[str]) -> IntArray:
        """Return the row numbers of these keys, adding rows of zeros for new ones.

        Every row returned counts as changed. `rows` may be replaced by this call: index it after.
        """
        for key in keys:
            if key not in self._index:
                self._index[key] = len(self._keys)
                self._keys.append(key)
        while len(self._keys) > len(self.rows):
            self.rows = np.concatenate([self.rows, np.zeros_like(self.rows)])
        found = np.fromiter((self._index[key] for key in keys), np.int64, len(keys))
        self._changed.update(found.tolist())
        return found

    def changes(self) -> dict[PageKey, bytes | None]:
        """Return the rows touched since the last call."""
        pages: dict[PageKey, bytes | None] = {
            (self._keys[index], 0): self.rows[index].tobytes() for index in sorted(self._changed)
        }
        self._changed.clear()
        return pages

    def restore(self, pages: Mapping[PageKey, bytes]) -> None:
        """Take the rows a store or a changelog holds; the state must be empty."""
        if self._keys:
            raise InvariantError(f"table {self.table.name} is restored over {len(self)} live keys")
        size = self.table.dtype.itemsize
        for (key, _), value in pages.items():
            if len(value) != size:
                raise InvariantError(
                    f"table {self.table.name}, key {key}: expected a row of {size} bytes, "
                    f"found {len(value)}; the dtype changed, so raise the table's version"
                )
            (index,) = self.index_of([key])
            self.rows[index] = np.frombuffer(value, self.table.dtype)[0]
        self._changed.clear()


def layouts_of(tables: Iterable[Table]) -> dict[str, str]:
    """Return by table a short name of how it is written: the same code gives the same name."""
    return {table.name: hashlib.sha256(table.layout.encode()).hexdigest()[:16] for table in tables}


TableState: TypeAlias = ObjectState[Any] | RowState
