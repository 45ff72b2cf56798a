"""A lookup says what a dict says, whatever the order, the cut and the restarts."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.batch import Batch, Part
from headrace.errors import InvariantError, UsageError
from headrace.operators import Lookup, operator_table
from headrace.operators.limits import PAGE_KEYS
from headrace.runtime.parts import empty_part
from tests.examples import examples
from tests.table_store import keep_changes

STREAM, REFERENCE = "market.trade.v1", "reference.instrument.v1"
TRADES = pa.schema({"instrument": pa.string(), "number": pa.int64()})
ROW = pa.schema(
    [pa.field("tick", pa.int64(), nullable=False), pa.field("note", pa.string(), nullable=True)]
)
TABLE_NAME = "enrich_trades.row_by_operator.v1"


class Event(NamedTuple):
    """A record of the stream, or what became of a row: `put` or `remove`."""

    kind: str
    key: str | None
    number: int


def lookup(missing: Any = "null", rows_max: int = 100) -> Lookup:
    return Lookup(REFERENCE, key=("instrument",), row=ROW, missing=missing, rows_max=rows_max)


def part_of(
    topic: str, records: pa.RecordBatch, keys: Sequence[Any], values: Sequence[Any]
) -> Part:
    count = records.num_rows
    return Part(topic, 0, records, values, keys, np.arange(count), np.zeros(count, np.int64))


def batch_of(events: Sequence[Event]) -> Batch:
    """Return the batch that holds these events in this order."""
    asked = [event for event in events if event.kind == "ask"]
    changed = [event for event in events if event.kind != "ask"]
    keys = [None if event.key is None else event.key.encode() for event in changed]
    ticks = [event.number if event.kind == "put" else None for event in changed]
    rows = {"tick": ticks, "note": [None if tick is None else f"n{tick}" for tick in ticks]}
    trades = {"instrument": [e.key for e in asked], "number": [e.number for e in asked]}
    parts = (
        part_of(
            STREAM, pa.record_batch(trades, schema=TRADES), [b""] * len(asked), [b""] * len(asked)
        ),
        part_of(
            REFERENCE,
            pa.record_batch(rows, schema=ROW),
            keys,
            [None if tick is None else b"row" for tick in ticks],
        ),
    )
    numbers = np.array([event.kind != "ask" for event in events], np.uint8)
    places = {0: 0, 1: 0}
    order = []
    for number in numbers.tolist():
        order.append(places[number])
        places[number] += 1
    return Batch(parts, numbers, np.array(order, np.int64))


def expected(
    events: Sequence[Event], missing: str, rows_max: int
) -> tuple[list[tuple[int, str | None, int | None]], list[tuple[int, str]], dict[str, int]]:
    """Return (event, key, tick) of what comes out, (event, cause) of what is dead, and counts."""
    rows: dict[str, int] = {}
    said, dead, counts = [], [], Counter[str]()
    for number, event in enumerate(events):
        if event.kind == "ask":
            tick = None if event.key is None else rows.get(event.key)
            if tick is None:
                counts["missing"] += 1
                if missing == "dead":
                    dead.append((number, "missing"))
            if tick is not None or missing == "null":
                said.append((number, event.key, tick))
        elif event.key is None:
            counts["row_without_key"] += 1
            dead.append((number, "row_without_key"))
        elif event.kind == "remove":
            rows.pop(event.key, None)
        elif event.key in rows or len(rows) < rows_max:
            rows[event.key] = event.number
        else:
            counts["row_refused"] += 1
            dead.append((number, "row_refused"))
    return said, dead, dict(counts)


def told(
    operator: Lookup, events: Sequence[Event], cuts: Sequence[int], restart_after: set[int]
) -> tuple[list[tuple[int, str | None, int | None]], list[tuple[int, str]], dict[str, int]]:
    """Return the same as the operator says it, its state written after each batch."""
    table = operator_table(TABLE_NAME, {"rows": operator})
    state = table.open()
    store: dict[Any, bytes] = {}
    said, dead, counts = [], [], Counter[str]()
    for number, (first, end) in enumerate(pairwise([0, *cuts, len(events)])):
        batch = batch_of(events[first:end])
        found = operator.add(state.edit("rows"), batch)
        for cause, row in zip(found.causes.tolist(), found.records.to_pylist(), strict=True):
            assert row["number"] == events[first + cause].number
            assert row["note"] == (None if row["tick"] is None else f"n{row['tick']}")
            said.append((first + cause, row["instrument"], row["tick"]))
        for letter in found.dead:
            (place,) = np.flatnonzero(
                (batch.order_parts == letter.part) & (batch.order_rows == letter.row)
            )
            dead.append((first + int(place), letter.cause))
        counts.update(found.counts)
        keep_changes(store, state)
        if number in restart_after:
            state = table.open()
            state.restore(store)
    return said, sorted(dead), dict(counts)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(["null", "drop", "dead"]),
    st.integers(1, 5),
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "ask", "put", "put", "remove"]),
            st.sampled_from([*"abcdef", None]),
        ),
        max_size=60,
    ),
    st.data(),
)
def test_a_lookup_equals_a_dict_however_the_input_is_cut(
    missing: str, rows_max: int, drawn: list[tuple[str, str | None]], data: st.DataObject
) -> None:
    events = [Event(kind, key, number) for number, (kind, key) in enumerate(drawn)]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=6)))
    restarts = data.draw(st.sets(st.integers(0, len(cuts))))

    found = told(lookup(missing, rows_max), events, cuts, restarts)

    assert found == expected(events, missing, rows_max)


def test_only_pages_with_changed_rows_are_written_and_empty_ones_deleted() -> None:
    table = operator_table(TABLE_NAME, {"rows": lookup(rows_max=1_000)})
    state = table.open()
    count = 2 * PAGE_KEYS + 1
    events = [Event("put", f"k{number}", number) for number in range(count)]
    lookup(rows_max=1_000).add(state.edit("rows"), batch_of(events))
    first = state.changes()

    lookup().add(state.edit("rows"), batch_of([Event("remove", f"k{count - 1}", 0)]))

    assert len(first) == 3
    assert state.changes() == {("rows", 2): None}


def test_a_slot_that_is_free_is_taken_again_so_that_rows_which_come_and_go_take_no_room() -> None:
    operator, state = lookup(rows_max=2), lookup().new()
    for number in range(1_000):
        operator.add(state, batch_of([Event("put", f"k{number}", number)]))
        operator.add(state, batch_of([Event("remove", f"k{number}", number)]))

    assert state.slots == 1


def test_several_fields_make_one_key_as_they_do_in_kafka() -> None:
    operator = Lookup(
        REFERENCE, key=("instrument", "number"), row=ROW, missing="drop", prefix="instrument_"
    )
    events = [Event("put", "BTC/7", 1), Event("ask", "BTC", 7), Event("ask", "BTC", 8)]

    found = operator.add(operator.new(), batch_of(events))

    assert found.records.to_pylist() == [
        {"instrument": "BTC", "number": 7, "instrument_tick": 1, "instrument_note": "n1"}
    ]
    assert found.causes.tolist() == [1]
    assert found.counts == {"missing": 1}


def test_a_dead_letter_names_the_key_and_the_topic() -> None:
    found = lookup("dead").add(lookup().new(), batch_of([Event("ask", "BTC", 0)]))

    assert found.records.num_rows == 0
    assert "'BTC'" in found.dead[0].detail
    assert REFERENCE in found.dead[0].detail


def test_a_column_that_both_have_is_refused() -> None:
    row = pa.schema({"number": pa.int64()})
    operator = Lookup("rows", key=("instrument",), row=row, missing="null")
    batch = batch_of([Event("ask", "a", 0)])
    empty = Batch((batch.parts[0], empty_part("rows", 0, row)), batch.order_parts, batch.order_rows)

    with pytest.raises(UsageError, match="prefix"):
        operator.add(operator.new(), empty)


def test_a_step_that_does_not_read_the_reference_topic_is_refused() -> None:
    batch = batch_of([Event("ask", "a", 0)])

    with pytest.raises(InvariantError, match=r"reference\.other\.v1"):
        Lookup("reference.other.v1", ("instrument",), ROW, "null").add(lookup().new(), batch)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ()},
        {"key": "instrument"},
        {"row": pa.schema([])},
        {"rows_max": 0},
        {"rows_max": 1 << 17},
    ],
)
def test_a_lookup_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    declared = {"reference": "r", "key": ("k",), "row": ROW, "missing": "null"} | wrong

    with pytest.raises(UsageError, match="lookup in r"):
        Lookup(**declared)
