"""The processes of a run with several workers a lane, each as its own pod with its own disk."""

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import structlog

from headrace.errors import TransientError
from headrace.faults import limits
from headrace.project import Project
from headrace.runtime.assemble import Choice, ensure_topics
from headrace.runtime.topics import gateway_lane_name, lane_name, sink_lane_name
from headrace.servers import Endpoints
from headrace.topology import Topology
from headrace.up.processes import Process, free_port, stop_all
from headrace.up.run import STATS_TIMEOUT_S, FeedChoice, is_ready, process_environment

log = structlog.get_logger(__name__)

FEED = "feed"


@dataclass(frozen=True, slots=True)
class LanePlan:
    """A lane: its short name, its consumer group, what a worker of it is asked for, how many."""

    name: str
    group: str
    options: tuple[str, ...]
    workers: int

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of its workers."""
        return tuple(f"{self.name}-{number}" for number in range(1, self.workers + 1))


def lane_plans(topology: Topology, workers: int) -> list[LanePlan]:
    """Return the lanes of a topology: so many workers for fused steps and gateways, one for sinks.

    With no workers at all, one process does everything.
    """
    if workers == 0:
        return [LanePlan("everything", "", (), 1)]
    chains = [
        LanePlan(
            "+".join(step.name for step in run),
            lane_name(topology, run),
            tuple(f"--step={step.name}" for step in run),
            workers,
        )
        for run in Choice().runs(topology)
    ]
    sinks = [
        LanePlan(
            f"sink-{sink.name}",
            sink_lane_name(topology, sink.name),
            (f"--sink={sink.name}",),
            1,
        )
        for sink in topology.sinks
    ]
    gateways = [
        LanePlan(
            f"gateway-{gateway.name}",
            gateway_lane_name(topology, gateway.name),
            (f"--gateway={gateway.name}",),
            workers,
        )
        for gateway in topology.gateways
    ]
    return chains + sinks + gateways


@dataclass
class Member:
    """A process of the fleet, and whether it should be running now."""

    name: str
    process: Process
    url: str = ""
    is_wanted: bool = True
    died_at: float | None = None
    asked_at: float = 0.0
    is_ready: bool = False
    deaths: list[str] = field(default_factory=list)
    """Exits nobody asked for, each in a line."""


class Fleet:
    """Starts, strikes, tends and stops the workers and the feed of one run."""

    def __init__(
        self,
        project: Project,
        topology: Topology,
        endpoints: Endpoints,
        home: Path,
        *,
        workers: int = limits.WORKERS_DEFAULT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Plan a fleet; `environment` is given to its workers alone."""
        self.topology = topology
        self.endpoints = endpoints
        self.lanes = lane_plans(topology, workers)
        self._project = project
        self._home = home
        self._environment = dict(environment or {})
        self._client = httpx.Client(timeout=STATS_TIMEOUT_S)
        self.members: dict[str, Member] = {}
        self.undrained: list[str] = []
        self.spoken: list[Process] = []

    def start_workers(self) -> None:
        """Start every worker and wait until all have joined their groups."""
        ensure_topics(self.topology, self.endpoints.kafka)
        for lane in self.lanes:
            for name in lane.names:
                self.add(name, lane)
        self._wait_until_ready()

    def start_feed(self, choice: FeedChoice) -> None:
        """Start the process that writes the input."""
        arguments = ["feed", self.topology.name, *choice.arguments()]
        self._start(Member(FEED, self._process(FEED, arguments, {})))

    def hurry_feed(self, choice: FeedChoice) -> None:
        """Have what is left of the input sent at full speed."""
        process = self.members[FEED].process
        self.members[FEED].is_wanted = False
        stop_all([process])
        self.start_feed(replace(choice, speed="max"))

    def wait_for_input(self) -> None:
        """Wait until the feed has sent its first frames: the schedule's time begins there."""
        process = self.members[FEED].process
        deadline = time.monotonic() + limits.START_S_MAX
        while not process.said.get("frames"):
            if process.exit_code not in {None, 0}:
                raise process.fail()
            if time.monotonic() > deadline:
                raise TransientError(f"the feed sent nothing within {limits.START_S_MAX} s")
            time.sleep(limits.TICK_S)

    def lane(self, name: str) -> LanePlan:
        """Return the lane of that short name."""
        return next(lane for lane in self.lanes if lane.name == name)

    def add(self, name: str, lane: LanePlan) -> None:
        """Start a worker of a lane, or start it again."""
        if name in self.members:
            self.revive(name)
            return
        port = free_port()
        arguments = ["worker", self.topology.name, f"--web-port={port}", *lane.options]
        environment = {
            "HEADRACE_INSTANCE": name,
            "HEADRACE_SESSION_TIMEOUT_MS": str(limits.SESSION_TIMEOUT_MS),
            **self._environment,
        }
        process = self._process(name, arguments, environment)
        self._start(Member(name, process, f"http://127.0.0.1:{port}"))

    def _start(self, member: Member) -> None:
        self.members[member.name] = member  # an interrupt from here on ends it, too
        member.process.start()

    def signal(self, name: str, number: signal.Signals, *, comes_back: bool = True) -> bool:
        """Send a process a signal; return whether it ran. One that does not come back may end."""
        member = self.members[name]
        was_running = member.process.send(number)
        if was_running:
            member.is_wanted = comes_back
        return was_running

    def revive(self, name: str) -> None:
        """Start a process again that was ended on purpose."""
        member = self.members[name]
        if member.is_wanted:
            return
        member.is_wanted = True
        member.died_at = None
        self._start_again(member)

    def is_up(self, name: str) -> bool:
        """Return whether a process runs."""
        return self.members[name].process.pid is not None

    def exit_code(self, name: str) -> int | None:
        """Return how a process ended; None while it runs."""
        return self.members[name].process.exit_code

    def has_left(self, name: str) -> bool:
        """Return whether a worker that was asked to end has ended; note it if it did so badly.

        One that died of the signal itself had not come so far as to have anything to drain.
        """
        code = self.exit_code(name)
        if code not in {None, 0, -signal.SIGTERM}:
            self.undrained.append(f"{name}: exit code {code} after SIGTERM")
        return code is not None

    @property
    def feed_is_done(self) -> bool:
        """Return whether the feed has sent all it has."""
        process = self.members[FEED].process
        return process.exit_code == 0 and bool(process.said.get("is_ended"))

    def is_at_work(self, name: str) -> bool:
        """Return whether a worker has joined its group, and input comes; of other names the latter.

        A fault while no input comes, as the feed starts again, would strike nothing at work.
        """
        if not self._feed_sends():
            return False
        member = self.members.get(name)
        if member is None or not member.url:
            return True
        now = time.monotonic()
        if now - member.asked_at >= limits.READY_LOOK_S:
            member.asked_at = now
            member.is_ready = is_ready(self._client, member.url)
        return member.is_ready

    def _feed_sends(self) -> bool:
        """Return whether the feed has sent since it was started, or is not meant to send."""
        feed = self.members[FEED]
        has_ended = feed.process.exit_code == 0
        return not feed.is_wanted or has_ended or bool(feed.process.said.get("frames"))

    def say(self, word: str) -> Process:
        """Begin to say a control to the topology, as an operator does; return who says it."""
        process = self._process(f"control-{word}", ["control", self.topology.name, word], {})
        process.start()
        self.spoken.append(process)
        return process

    def tend(self) -> None:
        """Start again, after a pause, what died without being told to."""
        now = time.monotonic()
        for member in self.members.values():
            code = member.process.exit_code
            if code is None or not member.is_wanted or (member.name == FEED and code == 0):
                continue
            if member.died_at is None:
                member.died_at = now
                words = member.process.last_words(1)
                member.deaths.append(f"{member.name}: exit code {code}: {words}")
                log.warning("worker_died", worker=member.name, code=code)
            elif now - member.died_at > limits.REVIVAL_PAUSE_S:
                member.died_at = None
                self._start_again(member)

    def _start_again(self, member: Member) -> None:
        member.process.said = {}
        if not member.process.revive(limits.REVIVALS_MAX):
            raise member.process.fail()

    def stop(self) -> None:
        """End every process: the feed first, then the workers; none survives this call."""
        for member in self.members.values():
            member.is_wanted = False
            member.process.send(signal.SIGCONT)
        feed = [m.process for m in self.members.values() if m.name == FEED]
        stop_all(feed)
        stop_all([m.process for m in self.members.values() if m.name != FEED] + self.spoken)
        self._client.close()

    def kill(self) -> None:
        """End every process at once, as when nothing of the run is wanted any more."""
        for member in self.members.values():
            member.is_wanted = False
            member.process.kill()
        for process in self.spoken:
            process.kill()
        for process in (*(m.process for m in self.members.values()), *self.spoken):
            process.join()
        self._client.close()

    @property
    def deaths(self) -> list[str]:
        """Return the exits nobody asked for."""
        return [line for member in self.members.values() for line in member.deaths]

    def _process(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> Process:
        whole = process_environment(self._home / "pods" / name, self.endpoints) | dict(environment)
        arguments = [*arguments, f"--project={self._project.folder}"]
        return Process(name, arguments, whole, self._home / "logs" / f"{name}.log")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + limits.START_S_MAX
        waiting = {name for name in self.members if name != FEED}
        while waiting:
            for name in sorted(waiting):
                member = self.members[name]
                if member.process.exit_code is not None:
                    raise member.process.fail()
                if is_ready(self._client, member.url):
                    waiting.discard(name)
            if time.monotonic() > deadline:
                raise TransientError(
                    f"workers not ready within {limits.START_S_MAX} s: {', '.join(sorted(waiting))}"
                )
            time.sleep(limits.TICK_S)
