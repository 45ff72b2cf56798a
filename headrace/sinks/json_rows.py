"""Writes the rows of a record batch as JSON objects."""

import base64
from decimal import Decimal

import orjson

from headrace.sinks.contract import Rows


def json_rows(rows: Rows) -> list[bytes]:
    """Return each record as JSON: its fields, then `kafka_partition` and `kafka_offset`.

    Integers stay integers whatever their size, NaN and infinities become null, bytes base64.
    """
    records = rows.records
    names = (*records.schema.names, "kafka_partition", "kafka_offset")
    columns = [column.to_pylist() for column in records.columns]
    columns += [[rows.part.partition] * len(rows), rows.part.offsets[rows.numbers].tolist()]
    return [
        orjson.dumps(dict(zip(names, values, strict=True)), default=_plain)
        for values in zip(*columns, strict=True)
    ]


def _plain(value: object) -> str:
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case Decimal():
            return str(value)
        case _:
            raise TypeError(f"a field of type {type(value).__name__} has no JSON form here")
