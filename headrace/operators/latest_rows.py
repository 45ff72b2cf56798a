"""The latest row of every key on each side of a join, and how they are written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray
from headrace.compiled import compiled
from headrace.operators import held_rows
from headrace.operators.held_rows import LEFT, NONE, RIGHT, Held, held_of, page_of
from headrace.operators.limits import PAGE_KEYS

SIDES = 2


@dataclass(slots=True)
class LatestRows:
    """Rows of two sides, each with its key's code as its number, ascending: one a key at most.

    A key has a code, counted from 0 in the order keys came, that both sides share. `changed` are
    the pages, by side, whose rows changed since the last dump.
    """

    sides: list[Held]
    code_by_key: dict[str, int] = field(default_factory=dict)
    changed: set[tuple[int, int]] = field(default_factory=set)

    @classmethod
    def empty(cls, *schemas: pa.Schema) -> "LatestRows":
        """Return no rows."""
        return cls([Held.nothing(schema) for schema in schemas])

    def codes_of(self, keys: pa.Array, *, most: int) -> IntArray:
        """Return the code of each key, NONE without one; new ones get one while there are fewer."""
        encoded = keys.dictionary_encode()
        codes = []
        for key in encoded.dictionary.to_pylist():
            if key not in self.code_by_key and len(self.code_by_key) < most:
                self.code_by_key[key] = len(self.code_by_key)
            codes.append(self.code_by_key.get(key, NONE))
        found: IntArray = np.array(codes, np.int64)[encoded.indices.to_numpy()]
        return found

    def places(self) -> IntArray:
        """Return where the row of each code is on each side, NONE where there is none.

        Shapes:  (2, codes).
        """
        places = np.full((SIDES, len(self.code_by_key)), NONE)
        for side, held in enumerate(self.sides):
            places[side, held.numbers] = np.arange(len(held))
        return places

    def replace(self, side: int, rows: Held, places: IntArray, codes: IntArray) -> None:
        """Keep those of some rows that stand at these places, a code a place, NONE for none.

        `codes` are those whose row is another than before.
        """
        kept = np.flatnonzero(places != NONE)
        found = rows.at(places[kept])
        self.sides[side] = Held(found.keys, found.times, found.orders, kept, found.records)
        self.changed.update((side, page) for page in np.unique(codes // PAGE_KEYS).tolist())

    def dump(self) -> dict[int, bytes | None]:
        """Return the pages whose rows changed since the last call; none is ever deleted."""
        pages: dict[int, bytes | None] = {}
        for side, page in sorted(self.changed):
            held = self.sides[side]
            codes = (page * PAGE_KEYS, (page + 1) * PAGE_KEYS)
            first, end = np.searchsorted(held.numbers, codes).tolist()
            pages[page * SIDES + side] = page_of(held, first, end)
        self.changed.clear()
        return pages


def load_latest(name: str, schemas: Sequence[pa.Schema], pages: Mapping[int, bytes]) -> LatestRows:
    """Return the state that these pages were dumped from.

    Raises:  InvariantError if a page is of other columns.
    """
    state = LatestRows.empty(*schemas)
    for number in sorted(pages):
        side = number % SIDES
        held = held_of(f"rows {name}, page {number}", pages[number], schemas[side])
        state.sides[side] = state.sides[side].with_later(held)
        codes = held.numbers.tolist()
        state.code_by_key.update(zip(held.keys.to_pylist(), codes, strict=True))
    return state


@compiled(held_rows)
def take_latest(
    codes: IntArray, is_left: BoolArray, rows: IntArray, latest: IntArray, keeps_left: bool
) -> IntArray:
    """Return which row of each side belongs to each of these rows, one after the other.

    `latest` (2, codes) is changed in place. Left rows are kept there only if the left side is a
    table; else each is its own.

    Shapes:  codes, is_left and rows (n,): a row's place on its side; (2, n) out, NONE for no row.
    """
    found = np.full((2, len(codes)), NONE)
    for index in range(len(codes)):
        code, side = codes[index], LEFT if is_left[index] else RIGHT
        if code != NONE and (side == RIGHT or keeps_left):
            latest[side, code] = rows[index]
        if code != NONE:
            found[LEFT, index] = latest[LEFT, code]
            found[RIGHT, index] = latest[RIGHT, code]
        if side == LEFT:
            found[LEFT, index] = rows[index]
    return found
