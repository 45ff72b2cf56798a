"""Applies SQL files to a database, in order, once each, and notices files that changed since."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import structlog
from psycopg import sql

from headrace.errors import UsageError
from headrace.sinks.capability import Rung, settle_rung
from headrace.sinks.limits import MIGRATION_TIMEOUT_MS, STATEMENT_TIMEOUT_MS

log = structlog.get_logger(__name__)

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)((?:\.(?:plain|apache|community))*)\.sql")
_LOCK = 0x68656164  # "head": one number for every starter, whatever it applies

_BOOTSTRAP = """
CREATE SCHEMA IF NOT EXISTS headrace;
CREATE TABLE IF NOT EXISTS headrace.migration (
    source text NOT NULL,
    version integer NOT NULL,
    file text NOT NULL,
    checksum text NOT NULL,
    rung text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, version)
);
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file of a source (`engine` or `project`)."""

    source: str
    version: int
    path: Path
    script: bytes

    @property
    def checksum(self) -> str:
        """Return what the file is known by once it was applied."""
        return hashlib.sha256(self.script).hexdigest()


def read_migrations(source: str, folder: Path, rung: Rung) -> list[Migration]:
    """Return the files of a folder that are for this rung, in order.

    `0003_name.sql` is for every rung, `0003_name.plain.apache.sql` for those it names.
    Raises:  UsageError if the folder is missing, a name is not of that form, or two files of one
             version are for the same rung.
    """
    if not folder.is_dir():
        raise UsageError(f"migrations: expected a folder of SQL files at {folder}, found none")
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise UsageError(f"migration {path}: expected a name like 0001_what.sql")
        rungs = [part for part in match[3].split(".") if part]
        if rungs and rung.value not in rungs:
            continue
        migration = Migration(source, int(match[1]), path, path.read_bytes())
        if migration.version in found:
            other = found[migration.version].path.name
            raise UsageError(f"migrations {other} and {path.name} have the same number; renumber")
        found[migration.version] = migration
    return [found[version] for version in sorted(found)]


@contextmanager
def migration_lock(connection: psycopg.Connection) -> Iterator[None]:
    """Let one starter at a time change the database; the others wait within a bound."""
    _set_timeout(connection, MIGRATION_TIMEOUT_MS)
    connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
            _set_timeout(connection, STATEMENT_TIMEOUT_MS)


def migrate(
    connection: psycopg.Connection, detected: Rung, folders: Sequence[tuple[str, Path]]
) -> Rung:
    """Apply what is new in each (source, folder), each file in a transaction; return the rung used.

    The caller holds `migration_lock`; the connection is in autocommit.
    Raises:  UsageError if an applied file changed, a new one is numbered before an applied one,
             its SQL fails, or the server offers less than the database was made with.
    """
    connection.execute(_BOOTSTRAP)
    recorded = connection.execute("SELECT min(rung) FROM headrace.migration").fetchone()
    rung = settle_rung(detected, Rung(recorded[0]) if recorded and recorded[0] else None)
    for source, folder in folders:
        applied = _applied(connection, source)
        for migration in read_migrations(source, folder, rung):
            if migration.version in applied:
                _require_same(migration, *applied[migration.version])
            elif applied and migration.version < max(applied):
                raise UsageError(
                    f"migration {migration.path}: it is new but numbered before "
                    f"{max(applied):04d}, which was applied; number it after"
                )
            else:
                _apply(connection, migration, rung)
    return rung


def _applied(connection: psycopg.Connection, source: str) -> dict[int, tuple[str, str]]:
    rows = connection.execute(
        "SELECT version, file, checksum FROM headrace.migration WHERE source = %s", [source]
    )
    return {version: (file, checksum) for version, file, checksum in rows}


def _require_same(migration: Migration, file: str, checksum: str) -> None:
    if migration.checksum != checksum:
        raise UsageError(
            f"migration {migration.path}: it changed after it was applied as {file} (checksum "
            f"expected {checksum[:12]}, found {migration.checksum[:12]}); put it back and write "
            f"the change as a new file"
        )


def _apply(connection: psycopg.Connection, migration: Migration, rung: Rung) -> None:
    try:
        with connection.transaction():
            connection.execute(migration.script)
            connection.execute(
                "INSERT INTO headrace.migration (source, version, file, checksum, rung) "
                "VALUES (%s, %s, %s, %s, %s)",
                [
                    migration.source,
                    migration.version,
                    migration.path.name,
                    migration.checksum,
                    rung.value,
                ],
            )
    except psycopg.OperationalError:
        raise
    except psycopg.DatabaseError as error:
        raise UsageError(f"migration {migration.path}: the server refused it: {error}") from error
    log.info("applied migration", source=migration.source, file=migration.path.name)


def _set_timeout(connection: psycopg.Connection, milliseconds: int) -> None:
    for name in ("statement_timeout", "lock_timeout"):
        connection.execute(
            sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(milliseconds))
        )
