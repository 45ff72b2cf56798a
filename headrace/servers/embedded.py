"""The servers of one run: embedded children and real ones, started together, ended together."""

import contextlib
import signal
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from typing import Self

from headrace.errors import TransientError, UsageError
from headrace.servers.child import Child, Server, State
from headrace.servers.external import await_reachable, where
from headrace.servers.home import Home
from headrace.servers.kafka import KafkaServer
from headrace.servers.ports import choose
from headrace.servers.postgres import PostgresServer
from headrace.servers.redis import RedisServer
from headrace.settings import Settings

NAMES = ("kafka", "postgres", "redis")

_LOOK_S = 0.2
"""How often who waits for servers to start looks whether it is over."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Connection strings; empty for a server that was not asked for."""

    kafka: str = ""
    postgres: str = field(default="", repr=False)  # holds a password
    redis: str = field(default="", repr=False)  # holds a password


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a person sees of one server; `where` holds no secret."""

    name: str
    where: str
    embedded: bool
    state: State
    restarts: int
    pid: int | None


class Servers:
    """Kafka, PostgreSQL and Redis for as long as the context lasts.

    Entering raises UsageError (a port or the home is taken, a setting is bad) or TransientError (a
    server does not start or answer); whatever had been started is ended first. Real servers are
    waited for `patience_s`, until `is_over`: who types a command wants to know at once, a pod's
    servers may be late.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        only: frozenset[str] = frozenset(NAMES),
        patience_s: float = 0,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        if unknown := sorted(only - set(NAMES)):
            raise UsageError(f"servers: expected some of {', '.join(NAMES)}, found {unknown}")
        self.endpoints = Endpoints()
        self._settings = settings
        self._only = only
        self._patience_s = patience_s
        self._is_over = is_over
        self._children: dict[str, Child] = {}
        self._real: dict[str, str] = {}
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._children.clear)
            self._real = {
                name: connection for name in self._wanted() if (connection := self._setting(name))
            }
            for name, connection in self._real.items():
                timeout_s = self._settings.connect_timeout_s
                await_reachable(name, connection, timeout_s, self._patience_s, self._is_over)
            connections = dict(self._real)
            if embedded := [name for name in self._wanted() if name not in self._real]:
                home = stack.enter_context(Home(self._settings.home).held())
                connections |= self._start(home, embedded, stack)
            self.endpoints = Endpoints(**connections)
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def states(self) -> list[ServerState]:
        """Return how each server is now, in the order of `NAMES`."""
        found = []
        for name in self._wanted():
            if child := self._children.get(name):
                address, state = child.server.where, child.state
                found.append(ServerState(name, address, True, state, child.restarts, child.pid))
            elif connection := self._real.get(name):
                found.append(ServerState(name, where(connection), False, "running", 0, None))
        return found

    def kill(self, name: str) -> None:
        """Kill an embedded server as a crash would; the supervisor brings it back."""
        self._embedded(name).kill()

    def take_down(self, name: str, *, politely: bool) -> None:
        """End an embedded server, as a crash would or as it wishes; `bring_back` starts it again.

        Raises:  UsageError if it is not embedded.
        """
        child = self._embedded(name)
        child.take_down(child.server.stop_signal if politely else signal.SIGKILL)

    def bring_back(self, name: str) -> None:
        """Start again a server that was taken down."""
        self._embedded(name).bring_back()

    def _embedded(self, name: str) -> Child:
        if name not in self._children:
            raise UsageError(f"servers: {name} is not embedded, so it cannot be killed")
        return self._children[name]

    def _wanted(self) -> list[str]:
        return [name for name in NAMES if name in self._only]

    def _setting(self, name: str) -> str:
        secret = {"postgres": self._settings.postgres, "redis": self._settings.redis}.get(name)
        if name == "kafka":
            return self._settings.kafka or ""
        return "" if secret is None else secret.get_secret_value()

    def _start(self, home: Home, names: list[str], stack: contextlib.ExitStack) -> dict[str, str]:
        """Start the named servers together; return their connection strings."""
        made = _make(home, self._settings, names)
        for name, server in made.items():
            self._children[name] = Child(server, home, self._settings.startup_timeout_s)
        # All are asked to end before the first is waited for.
        for child in self._children.values():
            stack.callback(child.join)
        for child in self._children.values():
            stack.callback(child.ask_to_end)
        for child in self._children.values():
            child.start()
        starting = [child.ready for child in self._children.values()]
        done: set[futures.Future[None]] = set()
        while len(done) < len(starting):
            done = futures.wait(starting, _LOOK_S, futures.FIRST_EXCEPTION).done
            for future in done:
                future.result()
            if self._is_over():
                raise TransientError("servers: asked to end before they had started")
        return {name: server.connection for name, server in made.items()}


def _make(home: Home, settings: Settings, names: list[str]) -> dict[str, Server]:
    for name in names:  # before the ports are chosen: one of the last run may hold them
        home.reap(name)
    taken: set[int] = set()

    def port(name: str, fixed: int | None, key: str = "port") -> int:
        remembered = home.remembered(name).get(key)
        kept = remembered if isinstance(remembered, int) else None
        chosen = choose(f"HEADRACE_{name.upper()}_PORT", fixed, kept, taken)
        home.remember(name, **{key: chosen})
        return chosen

    def kafka() -> Server:
        broker = port("kafka", settings.kafka_port)
        return KafkaServer(home, settings, broker, port("kafka", None, "controller_port"))

    makers: dict[str, Callable[[], Server]] = {
        "kafka": kafka,
        "postgres": lambda: PostgresServer(
            home, settings, port("postgres", settings.postgres_port)
        ),
        "redis": lambda: RedisServer(home, settings, port("redis", settings.redis_port)),
    }
    return {name: makers[name]() for name in names}
