"""The columnar COPY encoder against the format's definition, read value by value."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvariantError
from headrace.sinks.columns import Column, Kind
from headrace.sinks.encoding import copy_order, encode_rows, time_from_ns

EPOCH_US = 946_684_800_000_000

Strategy = st.SearchStrategy[Any]
LONGS = st.integers(-(2**63), 2**63 - 1)
DOUBLES = st.floats(allow_nan=False)
TEXTS = st.text(alphabet=st.characters(codec="utf-8"))

KINDS: dict[Kind, tuple[pa.DataType, Strategy]] = {
    "boolean": (pa.bool_(), st.booleans()),
    "integer": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "bigint": (pa.int64(), LONGS),
    "double precision": (pa.float64(), DOUBLES),
    "text": (pa.string(), TEXTS),
    "bytea": (pa.binary(), st.binary()),
    "bigint[]": (pa.list_(pa.int64()), st.lists(LONGS, max_size=4)),
    "double precision[]": (pa.list_(pa.float64()), st.lists(DOUBLES, max_size=4)),
    "boolean[]": (pa.list_(pa.bool_()), st.lists(st.booleans(), max_size=4)),
    "jsonb": (pa.list_(pa.string()), st.lists(TEXTS, max_size=3)),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], dict[str, list[Any]]]:
    count = draw(st.integers(1, 6))
    columns = [Column("first", "bigint", nullable=False)]
    values = {"first": draw(st.lists(LONGS, min_size=count, max_size=count))}
    chosen = draw(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.booleans()), max_size=6))
    for number, (kind, nullable) in enumerate(chosen):
        one = st.one_of(st.none(), KINDS[kind][1]) if nullable else KINDS[kind][1]
        columns.append(Column(f"c{number}", kind, nullable))
        values[f"c{number}"] = draw(st.lists(one, min_size=count, max_size=count))
    return columns, values


@given(tables(), st.integers(0, 2))
def test_every_value_is_where_the_format_puts_it(
    table: tuple[list[Column], dict[str, list[Any]]], cut: int
) -> None:
    columns, values = table
    order = copy_order(columns)
    count = len(values["first"])
    start = min(cut, count - 1)
    # A slice has its own offset into Arrow's buffers, as after a re-run.
    arrays = {c.name: pa.array(values[c.name], KINDS[c.kind][0]).slice(start) for c in columns}

    rows = list(read_rows(bytes(encode_rows(order, arrays)), order))

    assert rows == [[values[c.name][i] for c in order] for i in range(start, count)]


def test_times_are_microseconds_since_2000_rounded_down() -> None:
    column = Column("time", "timestamp with time zone", nullable=False)
    times = time_from_ns(pa.array([946_684_800_000_001_999, -1], pa.int64()))

    rows = list(read_rows(bytes(encode_rows([column], {"time": times})), [column]))

    assert rows == [[1], [-1 - EPOCH_US]]


def test_a_null_in_a_column_that_has_none_is_a_broken_invariant() -> None:
    column = Column("x", "bigint", nullable=False)

    with pytest.raises(InvariantError, match="column x"):
        encode_rows([column], {"x": pa.array([1, None])})


def read_rows(data: bytes, columns: list[Column]) -> Iterator[list[Any]]:
    """Read the format the plain way: a count, then a length and that many bytes for each field."""
    at = 0
    while at < len(data):
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        assert count == len(columns)
        row = []
        for column in columns:
            (width,) = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if width < 0 else read_value(column.kind, data[at : at + width]))
            at += max(width, 0)
        yield row


def read_value(kind: str, data: bytes) -> Any:
    if kind.endswith("[]"):
        return read_array(kind.removesuffix("[]"), data)
    match kind:
        case "text":
            return data.decode()
        case "bytea":
            return data
        case "jsonb":
            assert data[:1] == b"\x01"
            return json.loads(data[1:])
    formats = {"boolean": ">?", "integer": ">i", "double precision": ">d"}
    return struct.unpack(formats.get(kind, ">q"), data)[0]


def read_array(kind: str, data: bytes) -> list[Any]:
    dimensions, _, _ = struct.unpack_from(">iii", data)
    if not dimensions:
        assert len(data) == 12
        return []
    length, lower = struct.unpack_from(">ii", data, 12)
    assert (dimensions, lower) == (1, 1)
    items, at = [], 20
    for _ in range(length):
        (width,) = struct.unpack_from(">i", data, at)
        items.append(read_value(kind, data[at + 4 : at + 4 + width]))
        at += 4 + width
    assert at == len(data)
    return items
