"""The faults: each strikes one target and heals it again, and says when it has healed."""

import contextlib
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import psutil

from headrace.errors import UsageError
from headrace.faults import limits
from headrace.faults.drill import ControlSaid
from headrace.faults.fleet import FEED, Fleet
from headrace.faults.repeating import Repeater
from headrace.faults.schedule import Menu, Roster
from headrace.servers import Servers

SESSION_S = limits.SESSION_TIMEOUT_MS / 1_000


@dataclass(slots=True)
class Stage:
    """What faults act on."""

    fleet: Fleet
    servers: Servers
    repeater: Repeater


class Fault(Protocol):
    """A kind of fault; one object of it is one fault that happens."""

    name: str
    length_s: tuple[float, float]
    weight: int
    aftermath_s: float
    counted_from: Literal["inject", "heal"]
    """Where recovery begins: while the server itself is away, nobody can recover."""

    @staticmethod
    def targets(roster: Roster) -> Sequence[str]:
        """Return whom it may strike."""

    def inject(self, stage: Stage, target: str) -> bool:
        """Strike; return whether there was anything to strike."""

    def heal(self, stage: Stage, target: str) -> None:
        """Begin to undo it."""

    def is_healed(self, stage: Stage, target: str) -> bool:
        """Return whether it is undone."""


class _OfWorker:
    """A fault of one worker, healed at once."""

    weight = 1
    aftermath_s = 0.0
    counted_from: Literal["inject", "heal"] = "inject"

    @staticmethod
    def targets(roster: Roster) -> Sequence[str]:
        return roster.workers

    def is_healed(self, stage: Stage, target: str) -> bool:  # noqa: ARG002  (the protocol's)
        return True


class WorkerKilled(_OfWorker):
    """SIGKILL; started again, sooner or later than its group notices."""

    name = "worker killed"
    length_s = (0.5, SESSION_S + 3)
    weight = 3

    def inject(self, stage: Stage, target: str) -> bool:
        """Kill it."""
        return stage.fleet.signal(target, signal.SIGKILL, comes_back=False)

    def heal(self, stage: Stage, target: str) -> None:
        """Start it again."""
        stage.fleet.revive(target)


class WorkerFrozen(_OfWorker):
    """SIGSTOP for less than the session timeout: it goes on as if nothing had been."""

    name = "worker frozen"
    length_s = (1.0, SESSION_S / 2)

    def inject(self, stage: Stage, target: str) -> bool:
        """Stop it where it stands."""
        return stage.fleet.signal(target, signal.SIGSTOP)

    def heal(self, stage: Stage, target: str) -> None:
        """Let it go on."""
        stage.fleet.signal(target, signal.SIGCONT)


class WorkerZombie(WorkerFrozen):
    """SIGSTOP past the session timeout: others own its partitions when it wakes up."""

    name = "zombie"
    length_s = (SESSION_S + 2, SESSION_S + 4)
    weight = 3


class _Drain:
    """A worker that was asked to end, and is killed if it does not within the bound."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._fleet = fleet
        self._name = name
        self._deadline = time.monotonic() + limits.DRAIN_S_MAX

    def is_over(self) -> bool:
        if time.monotonic() > self._deadline:
            self._fleet.signal(self._name, signal.SIGKILL, comes_back=False)
        return self._fleet.has_left(self._name)


class WorkerLeft(_OfWorker):
    """SIGTERM: it drains, commits, leaves; then comes back."""

    name = "worker left"
    length_s = (4.0, 8.0)

    def inject(self, stage: Stage, target: str) -> bool:
        """Ask it to end."""
        return stage.fleet.signal(target, signal.SIGTERM, comes_back=False)

    def heal(self, stage: Stage, target: str) -> None:
        """Do nothing yet: one that still drains is started when it has ended."""
        self._drain = _Drain(stage.fleet, target)

    def is_healed(self, stage: Stage, target: str) -> bool:
        """Return whether it is back."""
        if not self._drain.is_over():
            return False
        stage.fleet.revive(target)
        return True


class WorkerJoined(_OfWorker):
    """One more worker in a lane; it leaves again by SIGTERM."""

    name = "worker joined"
    length_s = (8.0, 14.0)

    @staticmethod
    def targets(roster: Roster) -> Sequence[str]:
        """Return the lanes that may have more than one worker."""
        return [lane for lane, names in roster.lanes.items() if len(names) > 1]

    def inject(self, stage: Stage, target: str) -> bool:
        """Start it."""
        stage.fleet.add(f"{target}-extra", stage.fleet.lane(target))
        return True

    def heal(self, stage: Stage, target: str) -> None:
        """Ask it to leave."""
        name = f"{target}-extra"
        stage.fleet.signal(name, signal.SIGTERM, comes_back=False)
        self._drain = _Drain(stage.fleet, name)

    def is_healed(self, stage: Stage, target: str) -> bool:  # noqa: ARG002  (the protocol's)
        """Return whether it has left."""
        return self._drain.is_over()


class FeedKilled(_OfWorker):
    """SIGKILL of the feed: it sends again what it had not noted as sent."""

    name = "feed killed"
    length_s = (1.0, 3.0)
    counted_from: Literal["inject", "heal"] = "heal"

    @staticmethod
    def targets(roster: Roster) -> Sequence[str]:  # noqa: ARG004  (the protocol's)
        """Return the feed."""
        return [FEED]

    def inject(self, stage: Stage, target: str) -> bool:
        """Kill it."""
        return stage.fleet.signal(target, signal.SIGKILL, comes_back=False)

    def heal(self, stage: Stage, target: str) -> None:
        """Start it again."""
        stage.fleet.revive(target)


class _ServerDown:
    """An embedded server ends and comes back on the same port."""

    server: str
    politely = False
    weight = 1
    aftermath_s = limits.SERVER_RETURN_S
    counted_from: Literal["inject", "heal"] = "heal"

    @classmethod
    def targets(cls, roster: Roster) -> Sequence[str]:
        return [cls.server] if cls.server in roster.servers else []

    def inject(self, stage: Stage, target: str) -> bool:
        stage.servers.take_down(target, politely=self.politely)
        return True

    def heal(self, stage: Stage, target: str) -> None:
        stage.servers.bring_back(target)

    def is_healed(self, stage: Stage, target: str) -> bool:
        state = next(state for state in stage.servers.states() if state.name == target)
        return state.state == "running" and state.pid is not None


class BrokerKilled(_ServerDown):
    """SIGKILL of Kafka."""

    name = "broker killed"
    server = "kafka"
    length_s = (0.0, 3.0)


class BrokerRestarted(BrokerKilled):
    """SIGTERM of Kafka, as a rolling restart does it."""

    name = "broker restarted"
    politely = True


class DatabaseAway(_ServerDown):
    """SIGKILL of PostgreSQL, away for a while."""

    name = "database away"
    server = "postgres"
    length_s = (2.0, 8.0)


class RedisAway(_ServerDown):
    """SIGKILL of Redis, away for a while."""

    name = "redis away"
    server = "redis"
    length_s = (2.0, 8.0)


class _ServerSlow:
    """A server runs a fifth of the time: stopped and continued, again and again."""

    server: str
    weight = 1
    aftermath_s = 0.0
    counted_from: Literal["inject", "heal"] = "heal"

    def __init__(self) -> None:
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def targets(cls, roster: Roster) -> Sequence[str]:
        return [cls.server] if cls.server in roster.servers else []

    def inject(self, stage: Stage, target: str) -> bool:
        (pid,) = [state.pid for state in stage.servers.states() if state.name == target]
        if pid is None:
            return False
        self._thread = threading.Thread(target=self._pulse, args=(pid,), name=f"slow-{target}")
        self._thread.start()
        return True

    def _pulse(self, pid: int) -> None:
        while not self._ending.wait(limits.PULSE_ON_S):
            stopped = _family(pid)
            _send_all(stopped, signal.SIGSTOP)
            self._ending.wait(limits.PULSE_OFF_S)
            _send_all(stopped, signal.SIGCONT)

    def heal(self, stage: Stage, target: str) -> None:  # noqa: ARG002  (the protocol's)
        self._ending.set()

    def is_healed(self, stage: Stage, target: str) -> bool:  # noqa: ARG002  (the protocol's)
        return self._thread is None or not self._thread.is_alive()


class DatabaseSlow(_ServerSlow):
    """PostgreSQL, its sessions and its writers crawl."""

    name = "database slow"
    server = "postgres"
    length_s = (5.0, 9.0)


class BrokerSlow(_ServerSlow):
    """Kafka crawls."""

    name = "broker slow"
    server = "kafka"
    length_s = (3.0, 6.0)


class InputRepeated(_OfWorker):
    """Records of the source come again with their old sequence, at once or late."""

    name = "input repeated"
    length_s = (4.0, 8.0)

    @staticmethod
    def targets(roster: Roster) -> Sequence[str]:
        """Return the source's topic."""
        return [roster.source] if roster.source else []

    def inject(self, stage: Stage, target: str) -> bool:
        """Begin to repeat."""
        stage.repeater.begin(target)
        return True

    def heal(self, stage: Stage, target: str) -> None:
        """Repeat no more; copies still due are sent."""
        stage.repeater.end(target)


class RepliesRepeated(InputRepeated):
    """Records from outside (a venue's reports) come twice, late and out of order."""

    name = "replies repeated"
    weight = 2

    @staticmethod
    def targets(roster: Roster) -> Sequence[str]:
        """Return the topics that are said to come from outside."""
        return roster.repeatable


KINDS: tuple[type[Fault], ...] = (
    WorkerKilled,
    WorkerZombie,
    WorkerFrozen,
    WorkerLeft,
    WorkerJoined,
    FeedKilled,
    BrokerKilled,
    BrokerRestarted,
    BrokerSlow,
    DatabaseAway,
    DatabaseSlow,
    RedisAway,
    InputRepeated,
    RepliesRepeated,
    ControlSaid,
)


def menus(roster: Roster, names: Sequence[str] = ()) -> list[Menu]:
    """Return the kinds of that name, or all, as the schedule needs to know them.

    Raises:  UsageError if there is no kind of a name.
    """
    known = {kind.name: kind for kind in KINDS}
    if unknown := sorted(set(names) - known.keys()):
        raise UsageError(f"faults: expected some of {', '.join(known)}; found {', '.join(unknown)}")
    return [
        Menu(kind.name, tuple(kind.targets(roster)), kind.length_s, kind.weight, kind.aftermath_s)
        for kind in KINDS
        if not names or kind.name in names
    ]


def fault_of(name: str) -> Fault:
    """Return a new fault of the kind of that name."""
    return next(kind for kind in KINDS if kind.name == name)()


def _family(pid: int) -> list[psutil.Process]:
    """Return a server's process and all it has started."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _send_all(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
