"""What a person writes down as records of a topic: rows, a data frame, columns; made columns of it.

A field that is left out takes the schema's default, or is null where it may be.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from headrace.avro.schema import AvroSchema
from headrace.errors import UsageError

Rows: TypeAlias = Any
"""A row or a sequence of rows by field name, a RecordBatch, a Table, or a pandas DataFrame."""


def records_of(rows: Rows, schema: AvroSchema) -> pa.RecordBatch:
    """Return rows as the columns of a schema.

    Raises:  UsageError for a field that is missing, unknown, or of another type.
    """
    if isinstance(rows, Mapping):
        rows = [rows]
    if isinstance(rows, Sequence):
        columns, count = _columns_of(rows, schema), len(rows)
    else:
        table = _table_of(rows, schema)
        columns, count = dict(zip(table.column_names, table.columns, strict=True)), len(table)
    if unknown := sorted(columns.keys() - set(schema.arrow.names)):
        raise UsageError(
            f"records of {schema.name}: expected fields of {', '.join(schema.arrow.names)}, "
            f"found {', '.join(unknown)}; leave them out, or add them to the schema"
        )
    fields = zip(schema.arrow, schema.fields, strict=True)
    arrays = [_column(field, avro, columns, count, schema) for field, avro in fields]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.arrow)


def _columns_of(rows: Sequence[Any], schema: AvroSchema) -> dict[str, list[Any]]:
    odd = [row for row in rows if not isinstance(row, Mapping)]
    if odd:
        raise UsageError(
            f"records of {schema.name}: expected rows of values by field name, found "
            f"{repr(odd[0])[:80]}; write {{'{schema.arrow.names[0]}': …}}"
        )
    defaults = {avro["name"]: avro.get("default") for avro in schema.fields}
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, defaults.get(name)) for row in rows] for name in names}


def _table_of(rows: Any, schema: AvroSchema) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if hasattr(rows, "iloc"):  # whoever has a DataFrame has pandas
        return pa.Table.from_pandas(rows, preserve_index=False)
    raise UsageError(
        f"records of {schema.name}: expected rows by field name, a RecordBatch, a Table or a "
        f"DataFrame, found {type(rows).__name__}"
    )


def _column(
    field: pa.Field, avro: Mapping[str, Any], columns: Mapping[str, Any], count: int, of: AvroSchema
) -> pa.Array:
    where = f"records of {of.name}: field {field.name}"
    values = columns.get(field.name)
    if values is None:
        if count and "default" not in avro and not field.nullable:
            raise UsageError(f"{where}: expected a value, found none; the schema has no default")
        return pa.array([avro.get("default")] * count, field.type)
    try:
        if isinstance(values, list):
            found = pa.array(values, field.type)
        else:
            found = (
                pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], field.type)
            )
            found = found if found.type == field.type else found.cast(field.type)
    except (pa.ArrowException, OverflowError) as error:
        cause = str(error)[:200]
        raise UsageError(f"{where}: expected {field.type}, found another: {cause}") from error
    if found.null_count and not field.nullable:
        row = found.is_null().index(True).as_py()
        raise UsageError(f"{where}: expected a value in each row, found none in row {row}")
    return found
