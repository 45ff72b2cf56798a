"""A table that lies in a file, CSV or Parquet, with the columns of a schema."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from headrace import limits
from headrace.avro.schema import AvroSchema
from headrace.errors import UsageError
from headrace.reference.rows import Row

SUFFIXES = (".csv", ".parquet")


def read_table_file(path: Path, schema: AvroSchema) -> list[Row]:
    """Return the rows of a file; in CSV what stands between two commas is null, "" is a text.

    Raises:  UsageError if it cannot be read, lacks a column, or has more rows than may be.
    """
    try:
        table = _csv(path, schema) if path.suffix == ".csv" else _parquet(path, schema)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise UsageError(
            f"{path}: expected a table with the columns {', '.join(schema.arrow.names)}, found "
            f"{str(error)[:300]}"
        ) from error
    require_few(str(path), table.num_rows)
    rows: list[Row] = table.to_pylist()
    return rows


def require_few(where: str, count: int) -> None:
    """Refuse more rows than a reference topic may have.

    Raises:  UsageError.
    """
    if count > limits.REFERENCE_ROWS_MAX:
        raise UsageError(
            f"{where}: expected at most {limits.REFERENCE_ROWS_MAX:,} rows, which every partition "
            "holds, found more; load a view of those that are asked for, or join by a topic that "
            "is keyed as the stream is (StreamTableJoin)"
        )


def _csv(path: Path, schema: AvroSchema) -> pa.Table:
    options = pyarrow.csv.ConvertOptions(
        column_types=schema.arrow,
        include_columns=schema.arrow.names,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return pyarrow.csv.read_csv(path, convert_options=options)


def _parquet(path: Path, schema: AvroSchema) -> pa.Table:
    with pyarrow.parquet.ParquetFile(path) as file:
        require_few(str(path), file.metadata.num_rows)
        return file.read().select(schema.arrow.names)
