"""However states are edited, committed, aborted and reopened, they are what counts."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from headrace.state.store import Checkpoint, Store
from headrace.state.tables import (
    MISSES_MAX,
    ObjectState,
    ObjectTable,
    RowState,
    RowTable,
    StructCodec,
)
from tests.examples import examples

KEYS = st.sampled_from(["a", "b", "a\x00", "a\x00b", "a\x005", "é", ""])
"""Some begin as others, and hold what separates the parts of a page's name."""


EMPTY = 100


class Tally(msgspec.Struct):
    """How often a key was touched."""

    touches: int = 0


class Pair:
    """Two pages a key: the tally by tens and by ones; a key whose tally is EMPTY has none."""

    def new(self, key: str) -> Tally:  # noqa: ARG002  (the protocol's)
        return Tally()

    def dump(self, state: Tally) -> Mapping[int, bytes | None]:
        if state.touches == EMPTY:
            return {0: None, -1: None}
        return {0: b"%d" % (state.touches // 10), -1: b"%d" % (state.touches % 10)}

    def load(self, key: str, pages: Mapping[int, bytes]) -> Tally:  # noqa: ARG002
        return Tally(int(pages[0]) * 10 + int(pages[-1]))


STRUCTS = ObjectTable("test.tally_by_key.v1", StructCodec(Tally, lambda _: Tally()))
PAIRS = ObjectTable("test.pair_by_key.v1", Pair())
ROWS = RowTable("test.row_by_key.v1", np.dtype([("touches", np.int64)]))


class States:
    """One state of each kind over a store."""

    def __init__(self, store: Store) -> None:
        self.structs, self.pairs, self.rows = STRUCTS.open(), PAIRS.open(), ROWS.open()
        for state in self.every():
            state.attach(store)

    def every(self) -> list[ObjectState[Tally] | RowState]:
        return [self.structs, self.pairs, self.rows]

    def edit(self, key: str, touches: int) -> None:
        self.structs.edit(key).touches = touches
        self.pairs.edit(key).touches = touches
        (row,) = self.rows.index_of([key])
        self.rows.rows["touches"][row] = touches

    def touches(self, key: str) -> list[int]:
        """Return what each has of a key, 0 where it is not there; lists no keys."""
        objects = [self.structs.read(key), self.pairs.read(key)]
        row: Any = self.rows.read(key)
        found = [0 if tally is None else tally.touches for tally in objects]
        return [*found, 0 if row is None else int(row["touches"])]


class RollBack(RuleBasedStateMachine):
    """States that are edited, and a store that has what counts; `counting` and `edited` by key.

    A pair whose tally is EMPTY has no page: once it is read again, it is not there.
    """

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="headrace-")
        self.store = Store(Path(self.folder.name))
        self.states = States(self.store)
        self.counting: dict[str, int] = {}
        self.edited: dict[str, int] = {}

    @rule(key=KEYS, touches=st.sampled_from([1, 27, EMPTY]))
    def edit(self, key: str, touches: int) -> None:
        self.states.edit(key, touches)
        self.edited[key] = touches

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        struct, pair, row = self.states.touches(key)
        assert struct == row == self.edited.get(key, 0)
        assert pair == struct or (pair, struct) == (0, EMPTY)

    @rule()
    def list_keys(self) -> None:
        structs, pairs, rows = (sorted(state) for state in self.states.every())
        assert structs == rows == sorted(self.edited)
        assert {*structs} - {*pairs} <= {
            k for k, touches in self.edited.items() if touches == EMPTY
        }
        assert [len(state) for state in self.states.every()] == [
            len(structs),
            len(pairs),
            len(rows),
        ]

    @rule()
    def commit(self) -> None:
        changes = {state.table.name: state.changes() for state in self.states.every()}
        self.store.write(changes, Checkpoint())
        for state in self.states.every():
            state.settle()
        self.counting = dict(self.edited)

    @rule(is_offered=st.booleans())
    def abort(self, *, is_offered: bool) -> None:
        if is_offered:  # a commit that did not count
            for state in self.states.every():
                state.changes()
        for state in self.states.every():
            state.roll_back(self.store)
        self.edited = dict(self.counting)

    @rule()
    def reopen(self) -> None:
        self.states = States(self.store)
        self.edited = dict(self.counting)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            for key in self.edited:
                self.read(key)
            self.store.close()
            self.folder.cleanup()


TestRollBack = RollBack.TestCase
TestRollBack.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)


class Noted:
    """A store that notes what it is asked for."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[str] = []

    def pages_of(self, table: str, key: str) -> Mapping[int, bytes]:
        self.asked.append(key)
        return self.store.pages_of(table, key)

    def keys_of(self, table: str) -> Iterator[str]:
        self.asked.append("*")
        return self.store.keys_of(table)


@pytest.fixture
def noted(tmp_path: Path) -> Iterator[Noted]:
    store = Store(tmp_path)
    first = PAIRS.open()
    for key in ("a", "b"):
        first.edit(key).touches = 42
    store.write({PAIRS.name: first.changes()}, Checkpoint())
    yield Noted(store)
    store.close()


def test_an_object_is_read_once_when_it_is_asked_for(noted: Noted) -> None:
    state = PAIRS.open()
    state.attach(noted)
    assert noted.asked == []

    assert state.edit("b").touches == state.edit("b").touches == 42
    assert state.read("c") is None
    assert noted.asked == ["b", "c"]

    assert list(state) == ["a", "b"]
    assert state.read("c") is None
    assert noted.asked == ["b", "c", "*"]


def test_many_new_keys_are_not_looked_up_one_by_one(noted: Noted) -> None:
    state = PAIRS.open()
    state.attach(noted)

    for number in range(3 * MISSES_MAX):
        state.edit(f"new-{number}")

    assert len(noted.asked) == MISSES_MAX + 2
    assert state.edit("a").touches == 42


def test_a_store_names_its_tables(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.tables() == []

    pages = {("k", 0): b"x", ("l", 0): b"y"}
    store.write({"a.b.v1": pages, "a.b.v10": pages, "a.b": pages}, Checkpoint())

    assert store.tables() == ["a.b", "a.b.v1", "a.b.v10"]
    assert store.pages("a.b.v1") == pages
    assert list(store.keys_of("a.b.v1")) == ["k", "l"]
    assert store.pages("a") == {}
    store.close()
