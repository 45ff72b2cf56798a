"""The rows an operator holds, a side or two, and how they are written down, some rows a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray
from headrace.errors import InvariantError
from headrace.operators.limits import PAGE_ROWS
from headrace.operators.rows import NO_TIME_NS

HEADER_PAGE = 0
INT_BYTES = 8
LEFT, RIGHT = range(2)
NONE = -1
"""No row, among numbers of rows."""

# Not a field's name, so that no field of a record can have it.
PLACES = pa.schema(
    {"@key": pa.string(), "@time": pa.int64(), "@order": pa.int64(), "@n": pa.int64()}
)


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of one side, in the order they came; `numbers` count all rows that ever came.

    Shapes:  n items each.
    """

    keys: pa.Array
    times: IntArray
    orders: IntArray
    numbers: IntArray
    records: pa.RecordBatch

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.times)

    @classmethod
    def nothing(cls, schema: pa.Schema) -> "Held":
        """Return no rows."""
        none = np.zeros(0, np.int64)
        records = pa.RecordBatch.from_pylist([], schema=schema)
        return cls(pa.array([], pa.string()), none, none, none, records)

    def at(self, rows: IntArray | BoolArray) -> "Held":
        """Return these rows."""
        indexes = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        taken = pa.array(indexes)
        return Held(
            self.keys.take(taken),
            self.times[indexes],
            self.orders[indexes],
            self.numbers[indexes],
            self.records.take(taken),
        )

    def with_later(self, later: "Held") -> "Held":
        """Return these rows and then others."""
        if not len(later):
            return self
        return Held(
            pa.concat_arrays([self.keys, later.keys]),
            np.concatenate([self.times, later.times]),
            np.concatenate([self.orders, later.orders]),
            np.concatenate([self.numbers, later.numbers]),
            concatenated([self.records, later.records]),
        )


@dataclass(slots=True)
class HeldRows:
    """What an operator remembers: rows of each of its sides, and the largest event time on each.

    `marks` are of the first side's rows, and none where the operator marks none. `written` says by
    side and page how many rows it has in the store, and the number of the last.
    """

    sides: list[Held]
    latest_ns: list[int]
    arrived: int = 0
    marks: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))
    written: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def empty(cls, *schemas: pa.Schema) -> "HeldRows":
        """Return no rows of so many sides."""
        return cls([Held.nothing(schema) for schema in schemas], [NO_TIME_NS] * len(schemas))

    def dump(self) -> dict[int, bytes | None]:
        """Return the header and the pages whose rows changed since the last call."""
        header = np.array([*self.latest_ns, self.arrived], np.int64).tobytes()
        pages: dict[int, bytes | None] = {HEADER_PAGE: header + np.packbits(self.marks).tobytes()}
        for side, held in enumerate(self.sides):
            pages_held, starts, counts = np.unique(
                held.numbers // PAGE_ROWS, return_index=True, return_counts=True
            )
            spans = zip(starts.tolist(), (starts + counts).tolist(), strict=True)
            found = dict(zip(pages_held.tolist(), spans, strict=True))
            for page in [page for kept, page in self.written if kept == side and page not in found]:
                del self.written[side, page]
                pages[self._number(side, page)] = None
            for page, (start, end) in found.items():
                # Rows do not change, and new ones have higher numbers.
                content = (end - start, int(held.numbers[end - 1]))
                if self.written.get((side, page)) != content:
                    self.written[side, page] = content
                    pages[self._number(side, page)] = page_of(held, start, end)
        return pages

    def _number(self, side: int, page: int) -> int:
        return 1 + page * len(self.sides) + side


def load_held(
    name: str, schemas: Sequence[pa.Schema], pages: Mapping[int, bytes], *, marked: bool = False
) -> HeldRows:
    """Return the state that these pages were dumped from; `marked` if the first side has marks.

    Raises:  InvariantError if a page is of other columns.
    """
    state = HeldRows.empty(*schemas)
    for number in sorted(pages.keys() - {HEADER_PAGE}):
        page, side = divmod(number - 1, len(schemas))
        held = held_of(f"rows {name}, page {number}", pages[number], schemas[side])
        state.sides[side] = state.sides[side].with_later(held)
        state.written[side, page] = (len(held), int(held.numbers[-1]))
    header, ints = pages[HEADER_PAGE], len(schemas) + 1
    count = len(state.sides[0]) if marked else 0
    expected = ints * INT_BYTES + -(-count // 8)
    if len(header) != expected:
        raise InvariantError(
            f"rows {name}: expected a header of {expected} bytes, found {len(header)}"
        )
    *state.latest_ns, state.arrived = np.frombuffer(header, np.int64, ints).tolist()
    bits = np.frombuffer(header, np.uint8, offset=ints * INT_BYTES)
    state.marks = np.unpackbits(bits, count=count).astype(np.bool_)
    return state


def page_of(held: Held, start: int, end: int) -> bytes:
    """Return rows from `start` to before `end` as they are written down."""
    places = [held.times, held.orders, held.numbers]
    columns = [
        held.keys.slice(start, end - start),
        *(pa.array(column[start:end]) for column in places),
        *held.records.slice(start, end - start).columns,
    ]
    schema = pa.schema([*PLACES, *held.records.schema])
    written = pa.RecordBatch.from_arrays(columns, schema=schema)
    return bytes(written.serialize())


def held_of(where: str, page: bytes, schema: pa.Schema) -> Held:
    """Return the rows written on a page.

    Raises:  InvariantError if they are of other columns.
    """
    try:
        whole = pa.schema([*PLACES, *schema])
        rows = pa.ipc.read_record_batch(pa.py_buffer(page), whole)
        rows.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise InvariantError(
            f"{where}: expected rows of {schema.names}, found {error}; the columns changed, so "
            "raise the table's version"
        ) from error
    keys, *places = rows.columns[: len(PLACES)]
    times, orders, numbers = (column.to_numpy() for column in places)
    records = pa.RecordBatch.from_arrays(rows.columns[len(PLACES) :], schema=schema)
    return Held(keys, times, orders, numbers, records)


def concatenated(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return batches of one schema as one."""
    whole = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return whole[0] if whole else batches[0]
