"""Rows of a table from outside: what fits a schema, what is refused, and how it is told."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from headrace import limits
from headrace.avro.schema import AvroSchema, parse_schema
from headrace.errors import UsageError
from headrace.reference.rows import fit_rows
from headrace.reference.table_files import read_table_file

KEY = ("name",)


def schema_of(**types: Any) -> AvroSchema:
    fields = [{"name": name, "type": avro} for name, avro in types.items()]
    text = json.dumps({"type": "record", "name": "Row", "fields": fields})
    return parse_schema(text, "test")


SIDE = {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}
INSTRUMENT = schema_of(name="string", tick="long", note=["null", "string"])


@pytest.mark.parametrize(
    ("avro", "given", "taken"),
    [
        ("long", Decimal("5.00"), 5),
        ("long", -(1 << 63), -(1 << 63)),
        ("int", (1 << 31) - 1, (1 << 31) - 1),
        ("double", Decimal("0.5"), 0.5),
        ("double", 2, 2.0),
        ("float", 0.5, 0.5),
        ("boolean", True, True),
        (SIDE, "SELL", "SELL"),
        (["null", "long"], None, None),
        ({"type": "array", "items": "long"}, [Decimal(1), 2], [1, 2]),
        ({"type": "long"}, 3, 3),
    ],
)
def test_a_value_that_fits_is_taken(avro: Any, given: Any, taken: Any) -> None:
    found = fit_rows([{"name": "a", "x": given}], schema_of(name="string", x=avro), KEY)

    assert not found.refused
    assert found.records.column("x").to_pylist() == [taken]


@pytest.mark.parametrize(
    ("avro", "given", "said"),
    [
        ("long", Decimal("5.1"), "whole number, found one that is not"),
        ("long", Decimal("NaN"), "whole number, found one that is not"),
        ("long", 1 << 63, "64 bits"),
        ("int", -(1 << 31) - 1, "32 bits"),
        ("long", True, "found bool"),
        ("long", 5.0, "found float"),
        ("long", "5", "found str"),
        ("long", None, "found none"),
        ("double", "0.5", "found str"),
        ("double", 10**400, "a number that a double holds"),
        ("float", 1e39, "a number that a float holds"),
        ("string", 5, "expected text, found int"),
        ("string", datetime(2026, 1, 1, tzinfo=UTC), "found datetime; cast it in a view"),
        ("boolean", 1, "true or false"),
        (SIDE, "HOLD", "one of BUY, SELL"),
        (["null", "long"], "5", "whole number"),
        ({"type": "array", "items": "long"}, "12", "a list"),
        ({"type": "array", "items": "long"}, [1, None], "whole number, found none"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_field_and_not_shown(
    avro: Any, given: Any, said: str
) -> None:
    rows = [{"name": "a", "x": given}, {"name": "b", "x": given}]

    found = fit_rows(rows, schema_of(name="string", x=avro), KEY)

    assert found.records.num_rows == 0
    assert [(row.number, row.key) for row in found.refused] == [(0, "a"), (1, "b")]
    assert all(said in row.detail and "field x" in row.detail for row in found.refused)
    assert "HOLD" not in found.refused[0].detail


def test_rows_of_one_key_are_all_refused_for_nobody_knows_which_is_right() -> None:
    rows = [{"name": name, "tick": tick} for tick, name in enumerate(["b", "a", "b"])]

    found = fit_rows(rows, INSTRUMENT, KEY)

    assert found.records.to_pylist() == [{"name": "a", "tick": 1, "note": None}]
    assert [(row.number, row.key) for row in found.refused] == [(0, "b"), (2, "b")]


def test_the_order_of_rows_is_that_of_their_keys() -> None:
    rows = [{"name": name, "tick": 1} for name in ("c", "a", "b")]

    assert fit_rows(rows, INSTRUMENT, KEY).records.column("name").to_pylist() == ["a", "b", "c"]


def test_the_key_of_a_refused_row_is_the_one_it_has_in_kafka() -> None:
    schema = schema_of(number="long", is_on="boolean", tick="long")
    rows = [{"number": Decimal("7.0"), "is_on": True, "tick": None}]

    assert fit_rows(rows, schema, ("number", "is_on")).refused[0].key == "7/true"


def test_a_table_is_read_from_csv_and_from_parquet(tmp_path: Path) -> None:
    text, columns = tmp_path / "t.csv", tmp_path / "t.parquet"
    text.write_text('other,note,name,tick\n1,,a,5\n2,"",b,6\n3,x,c,7\n')
    rows = [
        {"name": "a", "tick": 5, "note": None},
        {"name": "b", "tick": 6, "note": ""},
        {"name": "c", "tick": 7, "note": "x"},
    ]
    pyarrow.parquet.write_table(pa.Table.from_pylist([row | {"other": 1} for row in rows]), columns)

    assert read_table_file(text, INSTRUMENT) == rows
    assert read_table_file(columns, INSTRUMENT) == rows


@pytest.mark.parametrize(
    "text", ["name,tick\na,5\n", "name,tick,note\na,5.5,x\n", "name,tick,note\na\n", ""]
)
def test_a_file_without_a_column_or_with_another_value_is_refused(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)

    with pytest.raises(UsageError, match=r"t\.csv: expected a table with the columns name, tick"):
        read_table_file(path, INSTRUMENT)


def test_a_file_that_is_not_there_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("name")

    for name in ("u.csv", "u.parquet", "t.parquet"):
        with pytest.raises(UsageError, match=name):
            read_table_file(tmp_path / name, INSTRUMENT)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_more_rows_than_every_partition_may_hold_are_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REFERENCE_ROWS_MAX", 1)
    path = tmp_path / f"t.{kind}"
    table = pa.table({"name": ["a", "b"], "tick": [1, 2], "note": ["", ""]})
    if kind == "csv":
        path.write_text("name,tick,note\na,1,\nb,2,\n")
    else:
        pyarrow.parquet.write_table(table, path)

    with pytest.raises(UsageError, match="at most 1 rows"):
        read_table_file(path, INSTRUMENT)
