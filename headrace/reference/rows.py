"""Rows of a table from outside as columns of a schema; a value that does not fit is never bent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.avro.schema import AvroSchema

Row = Mapping[str, Any]
"""Values by field name, as a driver or a file gives them."""

_BITS = {"int": 31, "long": 63}
_FLOAT_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is no record: its number in the table as read, its key as far as known, and why.

    Other values are not shown: a table may hold what no log should.
    """

    number: int
    key: str
    detail: str


@dataclass(frozen=True, slots=True)
class FittedRows:
    """The rows that fit, as columns of the schema, and those that do not."""

    records: pa.RecordBatch
    refused: Sequence[RefusedRow]


class _MisfitError(ValueError):
    """A value that is none of a field: what was expected, and what was found."""


def fit_rows(rows: Sequence[Row], schema: AvroSchema, key: Sequence[str]) -> FittedRows:
    """Return rows as records; those that do not fit, or share a key, are refused.

    A Decimal is a whole number if it is one, and nothing is rounded; what a schema has a default
    for is not guessed to be that.
    """
    found: list[tuple[int, str, dict[str, Any]]] = []
    refused = []
    fields = {field["name"]: field for field in schema.fields}
    for number, row in enumerate(rows):
        text = "/".join(_key_text(row, fields[name]) for name in key)
        try:
            found.append((number, text, _fit(row, schema)))
        except _MisfitError as error:
            refused.append(RefusedRow(number, text, str(error)))
    counts = Counter(text for _, text, _ in found)
    fitted = []
    for number, text, record in found:
        if counts[text] == 1:
            fitted.append((text, record))
            continue
        detail = f"expected one row of each key, found {counts[text]} of it"
        refused.append(RefusedRow(number, text, detail))
    # By key: the same rows are written in the same order, whatever the order they were read in.
    records = [record for _, record in sorted(fitted, key=lambda pair: pair[0])]
    return FittedRows(
        pa.RecordBatch.from_pylist(records, schema=schema.arrow),
        sorted(refused, key=lambda one: one.number),
    )


def _fit(row: Row, schema: AvroSchema) -> dict[str, Any]:
    return {field["name"]: _field(row, field) for field in schema.fields}


def _field(row: Row, field: Mapping[str, Any]) -> Any:
    name = field["name"]
    try:
        return _value(row.get(name), field["type"])
    except _MisfitError as error:
        raise _MisfitError(f"field {name}: {error}") from None


def _value(value: Any, avro: Any) -> Any:
    """Return a value as one of this Avro type."""
    if isinstance(avro, list):
        (kind,) = (branch for branch in avro if branch != "null")
        return None if value is None else _value(value, kind)
    if isinstance(avro, dict) and avro["type"] == "enum":
        if not isinstance(value, str) or value not in avro["symbols"]:
            raise _MisfitError(f"expected one of {', '.join(avro['symbols'])}, found another")
        return value
    if isinstance(avro, dict) and avro["type"] == "array":
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise _misfit("a list", value)
        return [_value(item, avro["items"]) for item in value]
    if isinstance(avro, dict):
        return _value(value, avro["type"])
    return _PRIMITIVES[avro](value, avro)


def _whole(value: Any, avro: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _misfit("a whole number", value)
    if isinstance(value, Decimal) and (not value.is_finite() or value != value.to_integral_value()):
        raise _MisfitError("expected a whole number, found one that is not; scale it in a view")
    found, bound = int(value), 1 << _BITS[avro]
    if not -bound <= found < bound:
        raise _MisfitError(f"expected a number of {_BITS[avro] + 1} bits, found a larger one")
    return found


def _number(value: Any, avro: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _misfit("a number", value)
    try:
        found = float(value)
    except (OverflowError, ValueError):  # a number of 400 digits, a signalling NaN
        raise _misfit(f"a number that a {avro} holds", value) from None
    if avro == "float" and isfinite(found) and abs(found) > _FLOAT_MAX:
        raise _misfit("a number that a float holds", value)
    return found


def _string(value: Any, avro: str) -> str:  # noqa: ARG001  (as all of these are called)
    if not isinstance(value, str):
        raise _misfit("text", value)
    return value


def _boolean(value: Any, avro: str) -> bool:  # noqa: ARG001
    if not isinstance(value, bool):
        raise _misfit("true or false", value)
    return value


_PRIMITIVES = {
    "int": _whole,
    "long": _whole,
    "float": _number,
    "double": _number,
    "string": _string,
    "boolean": _boolean,
}


def _misfit(expected: str, value: Any) -> _MisfitError:
    found = "none" if value is None else type(value).__name__
    return _MisfitError(f"expected {expected}, found {found}; cast it in a view")


def _key_text(row: Row, field: Mapping[str, Any]) -> str:
    """Return a value as it stands in the key in Kafka, or as it is if it fits no key."""
    try:
        value = _field(row, field)
    except _MisfitError:
        value = row.get(field["name"])
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
