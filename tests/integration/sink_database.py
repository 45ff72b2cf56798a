"""A database that only one test writes to, and the sink of the trading graph on it."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from headrace import Topic
from headrace.sinks import PostgresSink
from tests.integration.sink_records import MIGRATIONS, SCHEMAS, SUNK

_numbers = itertools.count()


@contextmanager
def empty_database(server_dsn: str) -> Iterator[str]:
    """Make a database, yield its DSN, and drop it whoever is still connected."""
    name = f"sink_{next(_numbers)}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_conninfo(server_dsn, dbname=name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def sink_on(
    dsn: str, topics: Sequence[Topic] = SUNK, migrations: Path | None = MIGRATIONS
) -> PostgresSink:
    """Return the sink of these topics, opened: the tables are there."""
    sink = PostgresSink(SecretStr(dsn), "trading", topics, SCHEMAS, migrations=migrations)
    sink.open()
    return sink


def ask(dsn: str, query: LiteralString | sql.Composed) -> list[tuple[Any, ...]]:
    """Return what a statement returns; nothing if it returns no rows."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []
