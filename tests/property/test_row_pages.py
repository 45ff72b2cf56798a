"""Changed rows as columns are the pages that a mapping of them would be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.state.pages import columns_of, page_bytes
from headrace.state.tables import RowTable

ROWS = RowTable("test.row_by_key.v1", np.dtype([("count", np.int64), ("flag", np.int8)]))
KEYS = st.lists(st.sampled_from(["a", "b", "a\x00", "a\x00b", "é", ""]) | st.text())


@given(batches=st.lists(KEYS, max_size=4))
def test_rows_are_pages_and_columns_alike(batches: list[list[str]]) -> None:
    state = ROWS.open()
    counts: dict[str, int] = {}
    for keys in batches:
        for key in keys:
            (row,) = state.index_of([key])
            state.rows["count"][row] += 1
            counts[key] = counts.get(key, 0) + 1
        touched = dict.fromkeys(keys)

        changes = state.changes()

        pages = {(key, 0): np.array((counts[key], 0), ROWS.dtype).tobytes() for key in touched}
        assert changes == pages
        assert len(changes) == len(pages)
        assert all(changes[page] == content for page, content in pages.items())
        ((names, contents),) = columns_of({ROWS.name: changes})
        assert dict(zip(names, contents, strict=True)) == {
            page_bytes(ROWS.name, key, page): content for (key, page), content in pages.items()
        }
        assert state.changes() == {}
