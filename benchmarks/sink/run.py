"""One run of one peer: its process, the clock, and whether what it stored is what it was given."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks.sink.peers import TABLE
from benchmarks.written import BENCH_PYTHON

TEMPLATE = "bench_template"
STOP_S_MAX = 30
CHECK = (
    "SELECT count(*), sum(sequence), sum(hashtextextended(concat_ws('|', kafka_partition, "
    "kafka_offset, time, instrument, source, trade_id, price_ticks, size_lots, aggressor, "
    "event_time_ns, receive_time_ns, source_sequence, book_valid), 0)) FROM {}"
)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to: rows a second, CPU microseconds a row, and what the table then held."""

    peer: str
    rate: float
    cpu_us: float
    server_cpu_us: float
    content: str


class Database:
    """The server of all runs: every run has a database of its own, like the one before it."""

    def __init__(self, dsn: str, pid: int) -> None:
        self._dsn = dsn
        self._server = psutil.Process(pid)

    def template(self) -> str:
        """Make the empty database all others are copies of; return its address."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        return make_conninfo(self._dsn, dbname=TEMPLATE)

    def seal(self) -> None:
        """Take the rows out of the template and forget its positions; its partitions stay.

        Nobody may connect to it any more, as TimescaleDB's own workers do: it could not be copied.
        """
        with psycopg.connect(make_conninfo(self._dsn, dbname=TEMPLATE)) as connection:
            tables = sql.SQL("TRUNCATE {}, headrace.sink_position")
            connection.execute(tables.format(sql.Identifier(TABLE)))
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                [TEMPLATE],
            )

    @contextmanager
    def copy(self, name: str) -> Iterator[str]:
        """Give the address of a new copy; it is removed at the end.

        The server writes out what the run before left to it, so that none pays for another.
        """
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            database = sql.Identifier(name)
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(database, sql.Identifier(TEMPLATE))
            )
            connection.execute("CHECKPOINT")
            yield make_conninfo(self._dsn, dbname=name)
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))

    def cpu_s(self) -> float:
        """Return what all processes of the server have spent so far."""
        spent = 0.0
        for process in (self._server, *self._server.children(recursive=True)):
            try:
                spent += cpu_s(process)
            except psutil.NoSuchProcess:
                continue
        return spent


def run_peer(database: Database, peer: str, name: str, trades: Path, count: int) -> Run:
    """Return what one run came to; the clock runs from the word to start until all is stored.

    Raises:  RuntimeError if the peer ended before it was done.
    """
    with database.copy(name) as dsn:
        environment = {**os.environ, "BENCH_POSTGRES": dsn}
        with subprocess.Popen(
            command(peer, trades),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as child:
            process = psutil.Process(child.pid)
            expect(child, "ready")
            before_s, server_before_s = cpu_s(process), database.cpu_s()
            started_s = time.perf_counter()
            tell(child)
            expect(child, "done")
            seconds = time.perf_counter() - started_s
            spent_s, server_spent_s = cpu_s(process) - before_s, database.cpu_s() - server_before_s
            child.communicate(timeout=STOP_S_MAX)
        content = stored(dsn)
    return Run(
        peer=peer,
        rate=count / seconds,
        cpu_us=1e6 * spent_s / count,
        server_cpu_us=1e6 * server_spent_s / count,
        content=content,
    )


def command(peer: str, trades: Path) -> Sequence[str]:
    """Return how a peer is started."""
    if peer == "adbc":
        script = Path(__file__).with_name("adbc_child.py")
        return (str(BENCH_PYTHON), str(script), TABLE, str(trades))
    return (sys.executable, "-m", "benchmarks.sink.child", peer, str(trades))


def stored(dsn: str) -> str:
    """Return a digest of what the table holds: equal for equal rows in whatever order."""
    with psycopg.connect(dsn) as connection:
        query = sql.SQL(CHECK).format(sql.Identifier(TABLE))
        found = connection.execute(query).fetchone()
    return " ".join(map(str, found or ()))


def tell(child: "subprocess.Popen[str]") -> None:
    """Let a child start."""
    if child.stdin is not None:
        child.stdin.write("go\n")
        child.stdin.flush()


def expect(child: "subprocess.Popen[str]", word: str) -> None:
    """Wait for a child's word.

    Raises:  RuntimeError if it says something else, or ended.
    """
    found = child.stdout.readline().strip() if child.stdout is not None else ""
    if found != word:
        raise RuntimeError(f"peer {child.args!r}: expected the word {word}, found {found!r}")


def cpu_s(process: psutil.Process) -> float:
    """Return what a process has spent, its threads included."""
    times = process.cpu_times()
    return float(times.user + times.system)
