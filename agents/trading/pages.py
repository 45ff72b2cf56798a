"""State that spreads over pages, so that a commit writes only what changed."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar
from zlib import crc32

import msgspec

V = TypeVar("V")


class Section(Protocol):
    """A part of an object that owns `page_count` pages, numbered from 0 within the section."""

    page_count: int

    def dump(self) -> dict[int, bytes | None]:
        """Return the pages that changed since the last dump or load; None deletes a page."""

    def load(self, pages: Mapping[int, bytes]) -> None:
        """Take the pages that were dumped; the section is new."""


class Sectioned(Protocol):
    """An object made of sections, always in the same order."""

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the sections."""


O = TypeVar("O", bound=Sectioned)  # noqa: E741 (the object, as S is the state elsewhere)


class SectionCodec(Generic[O]):
    """Writes a sectioned object down: the pages of its sections, one section after the other."""

    def __init__(self, new: Callable[[str], O]) -> None:
        self._new = new

    def new(self, key: str) -> O:
        """Return the object of a key that was never seen."""
        return self._new(key)

    def dump(self, state: O) -> Mapping[int, bytes | None]:
        """Return the pages that changed since the last dump."""
        pages: dict[int, bytes | None] = {}
        first = 0
        for section in state.sections:
            pages |= {first + page: value for page, value in section.dump().items()}
            first += section.page_count
        return pages

    def load(self, key: str, pages: Mapping[int, bytes]) -> O:
        """Return the object that these pages were dumped from."""
        state = self._new(key)
        first = 0
        for section in state.sections:
            end = first + section.page_count
            found = {page - first: pages[page] for page in pages if first <= page < end}
            section.load(found)
            first = end
        return state


class Box(Generic[V]):
    """A section of one value on one page."""

    def __init__(self, kind: type[V], value: V) -> None:
        self.page_count = 1
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._value = value
        self._changed = True

    def read(self) -> V:
        """Return the value for reading."""
        return self._value

    def edit(self) -> V:
        """Return the value for changing it in place."""
        self._changed = True
        return self._value

    def put(self, value: V) -> None:
        """Set the value."""
        self._value = value
        self._changed = True

    def dump(self) -> dict[int, bytes | None]:
        """Return the page if the value changed."""
        if not self._changed:
            return {}
        self._changed = False
        return {0: msgspec.msgpack.encode(self._value)}

    def load(self, pages: Mapping[int, bytes]) -> None:
        """Take the value of page 0."""
        if 0 in pages:
            self._value = self._decoder.decode(pages[0])
            self._changed = False


class PagedMap(Generic[V]):
    """A section of values by key; a key's page is chosen by its checksum."""

    def __init__(self, kind: type[V], page_count: int) -> None:
        self.page_count = page_count
        self._decoder = msgspec.msgpack.Decoder(dict[str, kind])  # type: ignore[valid-type]  # kind is a value here
        self._buckets: list[dict[str, V]] = [{} for _ in range(page_count)]
        self._changed: set[int] = set()
        self._count = 0

    def __len__(self) -> int:
        """Return how many keys there are."""
        return self._count

    def __contains__(self, key: str) -> bool:
        """Say whether there is such a key."""
        return key in self._buckets[self._page_of(key)]

    def items(self) -> Iterator[tuple[str, V]]:
        """Iterate over keys and values, in no order that may be relied on."""
        for bucket in self._buckets:
            yield from bucket.items()

    def read(self, key: str) -> V | None:
        """Return the value of a key for reading, or None."""
        return self._buckets[self._page_of(key)].get(key)

    def edit(self, key: str) -> V | None:
        """Return the value of a key for changing it in place, or None."""
        page = self._page_of(key)
        found = self._buckets[page].get(key)
        if found is not None:
            self._changed.add(page)
        return found

    def edit_or_add(self, key: str, new: Callable[[], V]) -> V:
        """Return the value of a key for changing it in place; a new one if there is none."""
        page = self._page_of(key)
        found = self._buckets[page].get(key)
        if found is None:
            found = self._buckets[page][key] = new()
            self._count += 1
        self._changed.add(page)
        return found

    def put(self, key: str, value: V) -> None:
        """Set the value of a key."""
        page = self._page_of(key)
        self._count += key not in self._buckets[page]
        self._buckets[page][key] = value
        self._changed.add(page)

    def remove(self, key: str) -> None:
        """Forget a key that is there."""
        page = self._page_of(key)
        del self._buckets[page][key]
        self._count -= 1
        self._changed.add(page)

    def dump(self) -> dict[int, bytes | None]:
        """Return the pages with changes; one that became empty is deleted."""
        pages = {
            page: msgspec.msgpack.encode(self._buckets[page]) if self._buckets[page] else None
            for page in sorted(self._changed)
        }
        self._changed.clear()
        return pages

    def load(self, pages: Mapping[int, bytes]) -> None:
        """Take the keys of these pages."""
        for page, value in pages.items():
            self._buckets[page] = self._decoder.decode(value)
        self._count = sum(map(len, self._buckets))

    def _page_of(self, key: str) -> int:
        return crc32(key.encode()) % self.page_count


class RecentMap(Generic[V]):
    """A section of the last `page_count * page_keys` keys that were added, with their values."""

    def __init__(self, kind: type[V], *, page_count: int, page_keys: int) -> None:
        self.page_count = page_count
        self._page_keys = page_keys
        self._decoder = msgspec.msgpack.Decoder(list[tuple[int, str, kind]])  # type: ignore[valid-type]  # kind is a value here
        self._slots: list[tuple[int, str, V] | None] = [None] * (page_count * page_keys)
        self._values: dict[str, V] = {}
        self._changed: set[int] = set()
        self._added = 0

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._values)

    def __contains__(self, key: str) -> bool:
        """Say whether a key is remembered."""
        return key in self._values

    def read(self, key: str) -> V | None:
        """Return the value of a key for reading, or None."""
        return self._values.get(key)

    def add(self, key: str, value: V) -> V | None:
        """Remember a new key; return the value of the one forgotten for it, or None."""
        slot = self._added % len(self._slots)
        oldest = self._slots[slot]
        forgotten = None if oldest is None else self._values.pop(oldest[1])
        self._slots[slot] = (self._added, key, value)
        self._values[key] = value
        self._changed.add(slot // self._page_keys)
        self._added += 1
        return forgotten

    def dump(self) -> dict[int, bytes | None]:
        """Return the pages with new keys."""
        pages: dict[int, bytes | None] = {}
        for page in sorted(self._changed):
            first = page * self._page_keys
            slots = self._slots[first : first + self._page_keys]
            pages[page] = msgspec.msgpack.encode([slot for slot in slots if slot is not None])
        self._changed.clear()
        return pages

    def load(self, pages: Mapping[int, bytes]) -> None:
        """Take the keys of these pages."""
        for value in pages.values():
            for number, key, content in self._decoder.decode(value):
                self._slots[number % len(self._slots)] = (number, key, content)
                self._values[key] = content
                self._added = max(self._added, number + 1)
