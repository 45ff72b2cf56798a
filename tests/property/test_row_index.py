"""However keys come, they have the rows that a dict would give them, and lose them in order."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headrace.errors import InvariantError
from headrace.state.pages import page_bytes
from headrace.state.row_index import ROWS_MIN, RowIndex
from headrace.state.row_kernels import EMPTY
from tests.examples import examples

TABLE = "test.row_by_key.v1"
KEYS = st.lists(
    st.sampled_from(
        ["a", "b", "a\x00", "a\x00b", "é", "", "0123456789", "0123456788", "1123456789"]
    )
    | st.text(max_size=3)
    | st.text(min_size=40, max_size=400)
)
"""Some begin as others, hold what separates the parts of a page's name, or are long."""


class Index(RuleBasedStateMachine):
    """An index beside a dict, whose order is that of the rows."""

    @initialize()
    def begin(self) -> None:
        self.index = RowIndex(TABLE)
        self.model: dict[str, int] = {}

    @rule(keys=KEYS, start=st.integers(0, 5))
    def add(self, keys: list[str], start: int) -> None:
        column = pa.array(keys, pa.string())[start:]
        found = self.index.find(column, adds=True)
        expected = [self.model.setdefault(key, len(self.model)) for key in keys[start:]]
        assert found.tolist() == expected

    @rule(keys=KEYS)
    def look(self, keys: list[str]) -> None:
        found = self.index.find(pa.array(keys, pa.string()), adds=False)
        assert found.tolist() == [self.model.get(key, EMPTY) for key in keys]

    @rule(data=st.data())
    def forget(self, data: Any) -> None:
        count = data.draw(st.integers(0, len(self.model)))
        self.index.keep(count)
        self.model = dict(list(self.model.items())[:count])

    @rule(data=st.data())
    def name(self, data: Any) -> None:
        rows = data.draw(st.lists(st.integers(0, max(len(self.model) - 1, 0))))
        if self.model:
            keys = list(self.model)
            names = self.index.names(np.array(rows, np.int64))
            assert list(names) == [page_bytes(TABLE, keys[row], 0) for row in rows]

    @invariant()
    def same(self) -> None:
        if hasattr(self, "index"):
            assert list(self.index) == list(self.model)
            assert len(self.index) == len(self.model)


TestIndex = Index.TestCase
TestIndex.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)


def test_many_keys_find_room_in_one_go() -> None:
    index = RowIndex(TABLE)
    keys = pa.array([f"key-{number}" for number in range(1_000 * ROWS_MIN)])

    found = index.find(keys, adds=True)

    assert found.tolist() == list(range(len(keys)))
    assert index.find(keys, adds=False).tolist() == found.tolist()


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(InvariantError, match="expected keys, found 1 nulls"):
        RowIndex(TABLE).find(pa.array(["a", None]), adds=True)


@pytest.mark.parametrize(
    "keys",
    [pa.array([1, 2]), pa.array(["a"], pa.large_string()), pa.array(["a"]).dictionary_encode()],
    ids=["numbers", "large", "dictionary"],
)
def test_a_column_of_something_else_is_refused_not_misread(keys: pa.Array) -> None:
    with pytest.raises(InvariantError, match=f"{TABLE}: expected a column of string, found "):
        RowIndex(TABLE).find(keys, adds=True)
