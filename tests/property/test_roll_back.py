"""However states are edited, committed, aborted and reopened, they are what the store says.

The tables are taken back in place; the model is what a task opened anew from the same store has.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headrace.state.store import Checkpoint, Store
from headrace.state.tables import ObjectState, ObjectTable, RowState, RowTable, StructCodec
from tests.examples import examples

KEYS = st.sampled_from(["a", "b", "a\x00", "a\x00b", "a\x005", "é", ""])
"""Some begin as others, and hold what separates the parts of a page's name."""


class Tally(msgspec.Struct):
    """How often a key was touched."""

    touches: int = 0


class Pair:
    """Two pages a key: the tally by tens and by ones; a key whose tally is a hundred has none."""

    def new(self, key: str) -> Tally:  # noqa: ARG002  (the protocol's)
        return Tally()

    def dump(self, state: Tally) -> Mapping[int, bytes | None]:
        if state.touches == 100:
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
        pages = store.pages()
        self.structs, self.pairs, self.rows = STRUCTS.open(), PAIRS.open(), ROWS.open()
        for state in (self.structs, self.pairs):
            state.attach([key for key, _ in pages.get(state.table.name, {})], store)
        self.rows.restore(pages.get(ROWS.name, {}))

    def every(self) -> list[ObjectState[Tally] | RowState]:
        return [self.structs, self.pairs, self.rows]

    def seen(self) -> dict[str, dict[str, int]]:
        objects = (self.structs, self.pairs)
        found = {s.table.name: {key: touches_of(s.read(key)) for key in s} for s in objects}
        rows: Any = self.rows
        return found | {ROWS.name: {key: int(rows.read(key)["touches"]) for key in rows}}


def touches_of(tally: Tally | None) -> int:
    assert tally is not None
    return tally.touches


class RollBack(RuleBasedStateMachine):
    """States that are edited, and a store that has what counts of them."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="headrace-")
        self.store = Store(Path(self.folder.name))
        self.states = States(self.store)
        self.expected = self.states.seen()

    @rule(key=KEYS, touches=st.sampled_from([1, 7, 100]))
    def edit(self, key: str, touches: int) -> None:
        self.states.structs.edit(key).touches = touches
        self.states.pairs.edit(key).touches = touches
        (row,) = self.states.rows.index_of([key])
        self.states.rows.rows["touches"][row] = touches

    @rule(key=KEYS)
    def look(self, key: str) -> None:
        self.states.structs.read(key)
        self.states.pairs.read(key)

    @rule()
    def commit(self) -> None:
        changes = {state.table.name: state.changes() for state in self.states.every()}
        self.store.write(changes, Checkpoint())
        for state in self.states.every():
            state.settle()
        self.expected = self.states.seen()

    @rule(is_offered=st.booleans())
    def abort(self, *, is_offered: bool) -> None:
        if is_offered:  # a commit that did not count
            for state in self.states.every():
                state.changes()
        for state in self.states.every():
            state.roll_back(self.store)
        assert self.without_empty(self.states.seen()) == self.without_empty(self.expected)

    @rule()
    def reopen(self) -> None:
        self.states = States(self.store)
        self.expected = self.without_empty(self.expected)
        assert self.states.seen() == self.expected

    @staticmethod
    def without_empty(seen: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        """Leave out keys without a page: who opens the store does not know of them."""
        pairs = {key: touches for key, touches in seen[PAIRS.name].items() if touches != 100}
        return seen | {PAIRS.name: pairs}

    @invariant()
    def every_key_is_there_once(self) -> None:
        if hasattr(self, "states"):
            for state in self.states.every():
                assert len(state) == len(set(state))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()


TestRollBack = RollBack.TestCase
TestRollBack.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)


def test_an_object_is_read_from_the_store_when_it_is_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = PAIRS.open()
    for key in ("a", "b"):
        first.edit(key).touches = 42
    store.write({PAIRS.name: first.changes()}, Checkpoint())

    asked: list[str] = []

    class Noted:
        def pages_of(self, table: str, key: str) -> Mapping[int, bytes]:
            asked.append(key)
            return store.pages_of(table, key)

    state = PAIRS.open()
    state.attach(["a", "b"], Noted())

    assert (list(state), asked) == (["a", "b"], [])
    assert state.edit("b").touches == state.edit("b").touches == 42
    assert state.read("c") is None
    assert asked == ["b"]
    store.close()
