"""The rows of a reference topic by key, as a lookup remembers them, and how they are written."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray
from headrace.operators.held_rows import NONE, Held, held_of, page_of
from headrace.operators.limits import PAGE_KEYS


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What came of a reference topic, in order: rows, and keys whose row is gone.

    Shapes:  n items each; `records` has a row of nulls where `is_removed`.
    """

    keys: Sequence[str]
    is_removed: BoolArray
    records: pa.RecordBatch


@dataclass(slots=True)
class ReferenceRows:
    """One row a key, each in a slot, the least that was free when its key came.

    `held` has them by slot, ascending, with the slot as their number. `changed` are the pages of
    slots that changed since the last dump, `written` those that are in the store.
    """

    held: Held
    slot_by_key: dict[str, int] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)
    place_by_slot: IntArray = field(init=False)

    def __post_init__(self) -> None:
        """Note where in `held` each slot's row is."""
        self.place_by_slot = self._places(self.slots)

    @classmethod
    def empty(cls, schema: pa.Schema) -> "ReferenceRows":
        """Return no rows."""
        return cls(Held.nothing(schema))

    def places_of(self, keys: Sequence[str | None]) -> IntArray:
        """Return where in `held` the row of each key is, NONE where there is none."""
        get = self.slot_by_key.get
        slots = [NONE if key is None else get(key, NONE) for key in keys]
        found: IntArray = self.place_by_slot[slots]
        return found

    def apply(self, changes: RowChanges, rows_max: int) -> tuple[Held, IntArray, BoolArray]:
        """Take changes one after the other, rows of new keys only while there are fewer.

        Return the rows before and those that came behind them, the place among these of each
        change's row, NONE for one that is gone, and which changes were refused.
        """
        count = len(changes.keys)
        refused = np.zeros(count, np.bool_)
        places = np.where(changes.is_removed, NONE, len(self.held) + np.arange(count))
        place_by_slot = self._places(self.slots + count)
        removed = changes.is_removed.tolist()
        for number, key in enumerate(changes.keys):
            slot = self.slot_by_key.get(key)
            if slot is None and not removed[number] and len(self.slot_by_key) < rows_max:
                slot = self.slot_by_key[key] = self._free_slot()
            elif slot is None:
                refused[number] = not removed[number]
                continue
            if removed[number]:
                heapq.heappush(self.free, self.slot_by_key.pop(key))
            place_by_slot[slot] = places[number]
            self.changed.add(slot // PAGE_KEYS)
        before = self.held
        pool = before.with_later(_held_of_changes(changes))
        slots = np.flatnonzero(place_by_slot != NONE)
        kept = pool.at(place_by_slot[slots])
        self.held = Held(kept.keys, kept.times, kept.orders, slots, kept.records)
        self.place_by_slot = self._places(self.slots)
        return pool, places, refused

    @property
    def slots(self) -> int:
        """Return how many slots there are, those that are free among them."""
        return len(self.slot_by_key) + len(self.free)

    def _free_slot(self) -> int:
        return heapq.heappop(self.free) if self.free else len(self.slot_by_key)

    def _places(self, slots: int) -> IntArray:
        # One more, which NONE points to.
        places = np.full(slots + 1, NONE)
        places[self.held.numbers] = np.arange(len(self.held))
        return places

    def dump(self) -> dict[int, bytes | None]:
        """Return the pages whose rows changed since the last call; one without rows is deleted."""
        pages: dict[int, bytes | None] = {}
        for page in sorted(self.changed):
            span = (page * PAGE_KEYS, (page + 1) * PAGE_KEYS)
            first, end = np.searchsorted(self.held.numbers, span).tolist()
            if first < end:
                pages[page] = page_of(self.held, first, end)
                self.written.add(page)
            elif page in self.written:
                pages[page] = None
                self.written.remove(page)
        self.changed.clear()
        return pages


def load_reference(name: str, schema: pa.Schema, pages: Mapping[int, bytes]) -> ReferenceRows:
    """Return the state that these pages were dumped from.

    Raises:  InvariantError if a page is of other columns.
    """
    held = Held.nothing(schema)
    for number in sorted(pages):
        held = held.with_later(held_of(f"rows {name}, page {number}", pages[number], schema))
    slots = held.numbers.tolist()
    by_key = dict(zip(held.keys.to_pylist(), slots, strict=True))
    free = sorted(set(range(max(slots, default=NONE) + 1)) - set(slots))
    return ReferenceRows(held, by_key, free, written=set(pages))


def _held_of_changes(changes: RowChanges) -> Held:
    """Return a row for each change, those that are gone among them, which nobody takes."""
    count = len(changes.keys)
    none = np.zeros(count, np.int64)
    return Held(pa.array(changes.keys, pa.string()), none, none, none, changes.records)
