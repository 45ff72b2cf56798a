"""After what a difference says is written, a partition holds the table's rows and no others."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.reference.difference import Difference, difference
from headrace.reference.load import note_written
from tests.examples import examples

KEYS = st.binary(min_size=1, max_size=1)
TABLES = st.dictionaries(KEYS, st.binary(max_size=1), max_size=8)


def written_after(before: dict[bytes, bytes], rows: dict[bytes, bytes], one: Difference) -> object:
    """Return what a partition holds once a difference was written to it."""
    found = dict(before)
    keys = [*one.changed, *one.removed]
    note_written(found, keys, [*(rows[key] for key in one.changed), *[None] * len(one.removed)])
    return found


@settings(max_examples=examples(300), deadline=None)
@given(TABLES, TABLES, st.sets(KEYS, max_size=4))
def test_what_is_written_becomes_the_table_but_for_refused_rows(
    before: dict[bytes, bytes], table: dict[bytes, bytes], refused: set[bytes]
) -> None:
    rows = {key: value for key, value in table.items() if key not in refused}

    one = difference(rows, before, refused)
    after = written_after(before, rows, one)

    assert after == rows | {key: value for key, value in before.items() if key in refused}
    assert not difference(rows, before | rows, refused).changed
    assert all(before.get(key) != rows[key] for key in one.changed)
    assert bool(one) == (after != before)


def test_the_last_record_of_a_key_counts_and_one_without_a_key_does_not() -> None:
    found: dict[bytes, bytes] = {}

    note_written(found, [b"a", b"b", None, b"a", b"b"], [b"1", b"2", b"3", None, b"4"])

    assert found == {b"b": b"4"}
