"""Copies topics into PostgreSQL or TimescaleDB, each record once."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from pydantic import SecretStr

from headrace.batch import DeadRow, Part
from headrace.errors import InvariantError, TransientError, UsageError
from headrace.sinks.capability import Rung, detect_rung
from headrace.sinks.columns import Schema
from headrace.sinks.connection import connect, require_dsn
from headrace.sinks.contract import Keep, Key, Written, fresh_rows, require_position
from headrace.sinks.limits import RETENTION_INTERVAL_S
from headrace.sinks.loading import load_rows, record_rejects
from headrace.sinks.migrations import migrate, migration_lock
from headrace.sinks.partitions import PartitionMaker
from headrace.sinks.tables import SinkTable, prepare_tables
from headrace.topology import Topic

_ENGINE_MIGRATIONS = Path(__file__).parent / "sql"


class PostgresSink:
    """A sink whose positions stand in the same transaction as the rows before them.

    `migrations` is the project's folder of SQL files; None where it has none. A topic no file made
    a table for gets one from its schema. Not safe for threads: one caller at a time.
    """

    def __init__(
        self,
        dsn: SecretStr,
        topology: str,
        topics: Sequence[Topic],
        schemas: Mapping[str, Schema],
        *,
        migrations: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        require_dsn(dsn)
        self._dsn = dsn
        self._topology = topology
        self._topics = topics
        self._schemas = schemas
        self._folders = [("engine", _ENGINE_MIGRATIONS)]
        if migrations is not None:
            self._folders.append(("project", migrations))
        self._monotonic = monotonic
        self._connection: psycopg.Connection | None = None
        self._tables: dict[str, SinkTable] = {}
        self._partitions: PartitionMaker | None = None
        self._expected: dict[Key, int] = {}
        self._confirmed: dict[Key, int] = {}
        self._retention_at = 0.0
        self.rung: Rung | None = None

    def open(self) -> None:
        """Connect, apply migrations, make missing tables, read the positions.

        Raises:  TransientError if the server is away; UsageError if its tables cannot be used.
        """
        self.close()
        with self._weather(), ExitStack() as undo:
            undo.callback(self.close)
            connection = connect(self._dsn, f"headrace sink {self._topology}")
            self._connection = connection
            with migration_lock(connection):
                self.rung = migrate(connection, detect_rung(connection), self._folders)
                self._tables = prepare_tables(connection, self._topics, self._schemas)
            self._partitions = PartitionMaker() if self.rung is Rung.PLAIN else None
            self._expected = self._read_positions(connection)
            undo.pop_all()

    def positions(self) -> dict[Key, int]:
        """Return the next offset wanted by (topic, partition); absent where none was written.

        The caller reads on from there: what was confirmed before is forgotten.
        """
        with self._weather():
            self._expected = self._read_positions(self._connected())
        self._confirmed.clear()
        return dict(self._expected)

    def write(self, parts: Sequence[Part], keep: Keep | None = None) -> Written:
        """Add the rows that are not there yet and move the positions, in one transaction.

        A record the database refuses is left out, given to `keep` before the transaction commits,
        kept in `headrace.rejected_row` and returned.
        Raises:  TransientError if the connection was lost (whether it committed, the positions say
                 after `open`) or another sink moved a position; PositionLostError if the database
                 is behind what it had confirmed.
        """
        parts = list(parts)
        with self._weather():
            connection = self._connected()
            self._drop_expired(connection)
            if self._partitions is not None:
                self._partitions.make_for(connection, self._tables, parts)
            try:
                return self._write(connection, parts, keep, isolate=False)
            except psycopg.errors.UniqueViolation as error:
                raise InvariantError(
                    f"a row is there already, before its position: {error}"
                ) from error
            except (psycopg.DataError, psycopg.IntegrityError):
                return self._write(connection, parts, keep, isolate=True)

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(
        self,
        connection: psycopg.Connection,
        parts: Sequence[Part],
        keep: Keep | None,
        *,
        isolate: bool,
    ) -> Written:
        count = 0
        dead: list[DeadRow] = []
        with connection.transaction():
            stored = self._locked_positions(connection, parts)
            fresh, positions = fresh_rows(parts, stored)
            for name, table in self._tables.items():
                rows = [run for run in fresh if run.part.topic == name]
                loaded = load_rows(connection, table, rows, isolate=isolate)
                count += loaded.rows
                dead += loaded.dead
            record_rejects(connection, parts, dead)
            if dead and keep is not None:
                keep(dead)
            self._move(connection, positions)
        self._expected |= positions
        self._confirmed |= positions
        return Written(count, dead)

    def _locked_positions(
        self, connection: psycopg.Connection, parts: Sequence[Part]
    ) -> dict[Key, int]:
        first: dict[Key, int] = {}
        for part in parts:
            if part.topic not in self._tables:
                raise InvariantError(
                    f"sink postgres was given {part.topic}, which it does not copy"
                )
            if len(part):
                first.setdefault((part.topic, part.partition), int(part.offsets[0]))
        keys = sorted(first)
        columns = [[topic for topic, _ in keys], [partition for _, partition in keys]]
        if any(key not in self._expected for key in keys):
            connection.execute(
                "INSERT INTO headrace.sink_position (topic, partition, next_offset, topology) "
                "SELECT topic, partition, 0, %s "
                "FROM unnest(%s::text[], %s::int[]) AS wanted (topic, partition) "
                "ON CONFLICT DO NOTHING",
                [self._topology, *columns],
            )
        rows = connection.execute(
            "SELECT topic, partition, next_offset FROM headrace.sink_position "
            "WHERE (topic, partition) IN (SELECT * FROM unnest(%s::text[], %s::int[])) "
            "ORDER BY topic, partition FOR UPDATE",
            columns,
        )
        stored = {(topic, partition): offset for topic, partition, offset in rows}
        for key in keys:
            require_position(
                key,
                first=first[key],
                stored=stored[key],
                expected=self._expected.get(key, 0),
                confirmed=self._confirmed.get(key, 0),
            )
        return stored

    def _move(self, connection: psycopg.Connection, positions: Mapping[Key, int]) -> None:
        connection.execute(
            "UPDATE headrace.sink_position AS p "
            "SET next_offset = n.next_offset, topology = %s, updated_at = now() "
            "FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS n (topic, partition, next_offset) "
            "WHERE (p.topic, p.partition) = (n.topic, n.partition)",
            [
                self._topology,
                [topic for topic, _ in positions],
                [partition for _, partition in positions],
                list(positions.values()),
            ],
        )

    def _read_positions(self, connection: psycopg.Connection) -> dict[Key, int]:
        rows = connection.execute(
            "SELECT topic, partition, next_offset FROM headrace.sink_position "
            "WHERE topic = ANY(%s) AND next_offset > 0",
            [[topic.name for topic in self._topics]],
        )
        return {(topic, partition): offset for topic, partition, offset in rows}

    def _drop_expired(self, connection: psycopg.Connection) -> None:
        now = self._monotonic()
        if now >= self._retention_at:
            connection.execute("SELECT headrace.drop_expired()")
            self._retention_at = now + RETENTION_INTERVAL_S

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            raise TransientError(f"sink postgres of topology {self._topology}: open it first")
        return self._connection

    @contextmanager
    def _weather(self) -> Iterator[None]:
        """Turn what the driver raises into what the engine acts on; drop a lost connection."""
        where = f"sink postgres of topology {self._topology}"
        try:
            yield
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise TransientError(f"{where}: {_first_line(error)}") from error
        except psycopg.ProgrammingError as error:
            self.close()
            raise UsageError(f"{where}: the server refused it: {_first_line(error)}") from error


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
