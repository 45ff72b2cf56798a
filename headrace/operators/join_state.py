"""The rows a join holds on each of its sides, how they match, and how they are written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray
from headrace.errors import InvariantError
from headrace.operators.limits import PAGE_ROWS
from headrace.operators.rows import NO_TIME_NS

HEADER_PAGE = 0
HEADER_INTS = 3
SIDES = 2
LEFT, RIGHT = range(SIDES)
NONE = -1

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
class JoinState:
    """What a join remembers: rows of both sides, and the largest event time seen on each.

    `written` says by side and page how many rows it has in the store, and the number of the last.
    """

    sides: list[Held]
    latest_ns: list[int] = field(default_factory=lambda: [NO_TIME_NS] * SIDES)
    arrived: int = 0
    written: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def dump(self) -> dict[int, bytes | None]:
        """Return the header and the pages whose rows changed since the last call."""
        header = np.array([*self.latest_ns, self.arrived], np.int64)
        pages: dict[int, bytes | None] = {HEADER_PAGE: header.tobytes()}
        for side, held in enumerate(self.sides):
            pages_held, starts, counts = np.unique(
                held.numbers // PAGE_ROWS, return_index=True, return_counts=True
            )
            spans = zip(starts.tolist(), (starts + counts).tolist(), strict=True)
            found = dict(zip(pages_held.tolist(), spans, strict=True))
            for page in [page for kept, page in self.written if kept == side and page not in found]:
                del self.written[side, page]
                pages[_number(side, page)] = None
            for page, (start, end) in found.items():
                # Rows do not change, and new ones have higher numbers.
                content = (end - start, int(held.numbers[end - 1]))
                if self.written.get((side, page)) != content:
                    self.written[side, page] = content
                    pages[_number(side, page)] = _page(held, start, end)
        return pages


def load_join(name: str, schemas: Sequence[pa.Schema], pages: Mapping[int, bytes]) -> JoinState:
    """Return the state that these pages were dumped from.

    Raises:  InvariantError if a page is of other columns.
    """
    header = np.frombuffer(pages[HEADER_PAGE], np.int64)
    if len(header) != HEADER_INTS:
        raise InvariantError(f"join {name}: expected {HEADER_INTS} numbers, found {len(header)}")
    state = JoinState([Held.nothing(schema) for schema in schemas])
    state.latest_ns, state.arrived = header[:SIDES].tolist(), int(header[SIDES])
    for number in sorted(pages.keys() - {HEADER_PAGE}):
        page, side = divmod(number - 1, SIDES)
        schema = pa.schema([*PLACES, *schemas[side]])
        try:
            rows = pa.ipc.read_record_batch(pa.py_buffer(pages[number]), schema)
            rows.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise InvariantError(
                f"join {name}, page {number}: expected rows of {schema.names}, found {error}; the "
                "columns changed, so raise the table's version"
            ) from error
        keys, *places = rows.columns[: len(PLACES)]
        times, orders, numbers = (column.to_numpy() for column in places)
        records = pa.RecordBatch.from_arrays(rows.columns[len(PLACES) :], schema=schemas[side])
        held = Held(keys, times, orders, numbers, records)
        state.sides[side] = state.sides[side].with_later(held)
        state.written[side, page] = (len(held), int(numbers[-1]))
    return state


def matched(lefts: Held, rights: Held) -> IntArray:
    """Return for each left row the index of the last right row at or before it, or NONE.

    Of one key; of rights of one time the last by order, then by arrival.
    """
    count = len(rights)
    keys = pa.concat_arrays([rights.keys, lefts.keys]).dictionary_encode().indices.to_numpy()
    times = np.concatenate([rights.times, lefts.times])
    is_left = np.arange(len(keys)) >= count
    orders = np.concatenate([rights.orders, np.zeros(len(lefts), np.int64)])
    numbers = np.concatenate([rights.numbers, lefts.numbers])
    order = np.lexsort((numbers, orders, is_left, times, keys))
    # Where the last right row before each stands in the sorted rows, if it is of the same key.
    at = np.where(is_left[order], NONE, np.arange(len(order)))
    last = np.maximum.accumulate(at)
    same = (last != NONE) & (keys[order[last]] == keys[order])
    found = np.empty(len(keys), np.int64)
    found[order] = np.where(same, order[last], NONE)
    return found[count:]


def concatenated(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return batches of one schema as one."""
    whole = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return whole[0] if whole else batches[0]


def _number(side: int, page: int) -> int:
    return 1 + page * SIDES + side


def _page(held: Held, start: int, end: int) -> bytes:
    places = [held.times, held.orders, held.numbers]
    columns = [
        held.keys.slice(start, end - start),
        *(pa.array(column[start:end]) for column in places),
        *held.records.slice(start, end - start).columns,
    ]
    schema = pa.schema([*PLACES, *held.records.schema])
    written = pa.RecordBatch.from_arrays(columns, schema=schema)
    return bytes(written.serialize())
