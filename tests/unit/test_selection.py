"""Columns selected by name, whatever the schema of the batch before was."""

import pyarrow as pa
import pytest

from headrace.batch import Selection

FIRST = pa.RecordBatch.from_pydict({"a": [1], "b": [2], "c": [3]})
OTHER = pa.RecordBatch.from_pydict({"c": [30], "x": [0], "a": [10]})


def test_columns_come_in_the_order_asked_for() -> None:
    assert Selection(["c", "a"]).of(FIRST).to_pydict() == {"c": [3], "a": [1]}


def test_another_schema_is_looked_up_again() -> None:
    selection = Selection(["c", "a"])

    found = [selection.of(records).to_pylist() for records in (FIRST, OTHER, FIRST)]

    assert found == [[{"c": 3, "a": 1}], [{"c": 30, "a": 10}], [{"c": 3, "a": 1}]]


def test_a_column_that_is_not_there_is_an_error() -> None:
    selection = Selection(["b"])
    selection.of(FIRST)

    with pytest.raises(ValueError, match="'b'"):
        selection.of(OTHER)
