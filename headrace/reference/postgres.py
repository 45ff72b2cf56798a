"""A table or view of PostgreSQL, read as a whole in one statement."""

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from pydantic import SecretStr

from headrace import limits
from headrace.errors import TransientError, UsageError
from headrace.reference.rows import Row
from headrace.reference.table_files import require_few
from headrace.sinks.connection import connect

APPLICATION = "headrace-reference"


def read_postgres(dsn: SecretStr, table: str, columns: list[str]) -> list[Row]:
    """Return the rows of `table` or `schema.table`, these columns of each.

    One statement sees one state of the table; it may not write, and ends after
    `headrace.sinks.limits.STATEMENT_TIMEOUT_MS`.

    Raises:  UsageError if there is no such table or column, or more rows than may be;
             TransientError if the server does not answer.
    """
    found: list[dict[str, Any]]
    try:
        with connect(dsn, APPLICATION) as connection:
            connection.read_only = True
            with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute(_select(table, columns))
                found = cursor.fetchall()
    except psycopg.OperationalError as error:
        raise TransientError(f"PostgreSQL, table {table}: {_cause(error)}") from error
    except psycopg.Error as error:
        raise UsageError(
            f"PostgreSQL, table {table}: expected a table or view that can be read, with the "
            f"columns {', '.join(columns)}, found: {_cause(error)}"
        ) from error
    require_few(f"PostgreSQL, table {table}", len(found))
    return list(found)


def _select(table: str, columns: list[str]) -> sql.Composed:
    return sql.SQL("SELECT {} FROM {} LIMIT {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(*table.split(".", 1)),
        sql.Literal(limits.REFERENCE_ROWS_MAX + 1),
    )


def _cause(error: psycopg.Error) -> str:
    """Return what the server said; it names no value of a row, and no password."""
    said = error.diag.message_primary or str(error)
    return f"{type(error).__name__}: {said[:300]}"
