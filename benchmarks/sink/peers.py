"""Ways to store batches of rows; each batch is a transaction of its own in all of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import orjson
import psycopg
import pyarrow as pa
from psycopg import sql
from pydantic import SecretStr

from benchmarks.sink.trades import parts
from headrace import Part
from headrace.sinks import PostgresSink
from headrace.sinks.contract import Rows
from headrace.sinks.encoding import COPY_HEADER, COPY_TRAILER
from headrace.sinks.tables import SinkTable
from schemas.topics import TRADE

ROOT = Path(__file__).resolve().parents[2]
TABLE = "market_trade_v1"
TYPES = {
    "kafka_partition": "int4",
    "time": "timestamptz",
    **dict.fromkeys(("instrument", "source", "aggressor"), "text"),
    "book_valid": "bool",
}
"""What PostgreSQL calls the columns' types; the others are int8."""

Batches: TypeAlias = Sequence[pa.RecordBatch]
Row: TypeAlias = tuple[Any, ...]
Write: TypeAlias = Callable[[], None]
"""Stores all batches: what is measured."""


def headrace(dsn: str, batches: Batches) -> Write:
    """Store decoded parts, with their positions in the same transaction."""
    sink = our_sink(dsn)
    decoded = [parts(batch) for batch in batches]

    def write() -> None:
        for run in decoded:
            sink.write(run)

    return write


def copy_rows(dsn: str, batches: Batches) -> Write:
    """Store by psycopg's binary COPY, row by row; the rows are Python's before the clock starts."""
    connection, names = connect(dsn), batches[0].schema.names
    made = [rows(batch) for batch in batches]

    def write() -> None:
        for run in made:
            copy(connection, names, run)

    return write


def copy_columns(dsn: str, batches: Batches) -> Write:
    """Do the same from where a sink starts: from columns, of which it makes the rows."""
    connection, names = connect(dsn), batches[0].schema.names

    def write() -> None:
        for batch in batches:
            copy(connection, names, rows(batch))

    return write


def copy_bytes(dsn: str, batches: Batches) -> Write:
    """Store what was encoded before the clock started: as much as the server can take."""
    connection = connect(dsn)
    table = SinkTable.of(TRADE, trade_schema())
    encoded = [[bytes(table.encode(all_rows(part))) for part in parts(batch)] for batch in batches]

    def write() -> None:
        for run in encoded:
            with (
                connection.transaction(),
                connection.cursor() as cursor,
                cursor.copy(table.copy_statement) as stream,
            ):
                for data in (COPY_HEADER, *run, COPY_TRAILER):
                    stream.write(data)

    return write


def insert(dsn: str, batches: Batches) -> Write:
    """Store by one INSERT of many rows a batch: a list of values for each column."""
    connection, names = connect(dsn), batches[0].schema.names
    made = [[column.to_pylist() for column in batch.columns] for batch in batches]
    lists = [sql.SQL("%s::{}[]").format(sql.SQL(TYPES.get(name, "int8"))) for name in names]
    statement = sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({})").format(
        sql.Identifier(TABLE), listed(names), sql.SQL(", ").join(lists)
    )

    def write() -> None:
        for columns in made:
            connection.execute(statement, columns)

    return write


PEERS: Mapping[str, Callable[[str, Batches], Write]] = {
    "headrace": headrace,
    "copy-rows": copy_rows,
    "copy-columns": copy_columns,
    "copy-bytes": copy_bytes,
    "insert": insert,
}


def our_sink(dsn: str) -> PostgresSink:
    """Return the sink of headrace, opened; it makes its tables where they are missing."""
    sink = PostgresSink(
        SecretStr(dsn),
        "trading",
        [TRADE],
        {TRADE.name: trade_schema()},
        migrations=ROOT / "infra" / "migrations",
    )
    sink.open()
    return sink


def trade_schema() -> dict[str, Any]:
    """Return the schema of the topic."""
    path = ROOT / "schemas" / "avro" / f"{TRADE.schema}.avsc"
    return dict(orjson.loads(path.read_bytes()))


def all_rows(part: Part) -> Rows:
    """Return a part as what is written of it."""
    return Rows(0, part, np.arange(len(part)))


def connect(dsn: str) -> psycopg.Connection[Row]:
    """Return a connection as ours is: each batch a transaction, its commit waited for."""
    return psycopg.connect(dsn, autocommit=True)


def rows(batch: pa.RecordBatch) -> list[Row]:
    """Return a batch as Python's rows."""
    return list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def copy(connection: psycopg.Connection[Row], names: Sequence[str], run: Sequence[Row]) -> None:
    """Store rows as psycopg's documentation has it."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(TABLE), listed(names)
    )
    with (
        connection.transaction(),
        connection.cursor() as cursor,
        cursor.copy(statement) as stream,
    ):
        stream.set_types([TYPES.get(name, "int8") for name in names])
        for row in run:
            stream.write_row(row)


def listed(names: Sequence[str]) -> sql.Composed:
    """Return the columns' names."""
    return sql.SQL(", ").join(map(sql.Identifier, names))
