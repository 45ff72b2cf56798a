"""One run of a topology: its servers' clients, worker processes and feed, and what they report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import structlog

from headrace.errors import TransientError
from headrace.kafka.fetched import Offsets
from headrace.project import Project
from headrace.runtime.assemble import Choice, ensure_topics
from headrace.servers import Endpoints
from headrace.topology import Topology
from headrace.up.lag import LagWatch, lane_groups
from headrace.up.processes import RESTARTS_MAX, Process, free_port, stop_all

log = structlog.get_logger(__name__)

STATS_TIMEOUT_S = 2.0
READY_TIMEOUT_S = 120.0
SETTLED_CHECKS = 2
"""How often in a row nothing may move before a run with a finite feed is over."""


@dataclass(frozen=True, slots=True)
class FeedChoice:
    """What the feed of a run is asked for."""

    text: str
    symbols: tuple[str, ...] = ()
    speed: str = "1"
    repeat: int = 1

    def arguments(self) -> list[str]:
        """Return the same as options of `headrace feed`."""
        return [
            f"--feed={self.text}",
            *(f"--symbols={symbol}" for symbol in self.symbols),
            f"--speed={self.speed}",
            f"--repeat={self.repeat}",
        ]


@dataclass
class Worker:
    """A worker process and the last it said of itself."""

    process: Process
    url: str
    stats: dict[str, Any] = field(default_factory=lambda: {"steps": {}, "counts": {}})
    at_start: dict[str, int] = field(default_factory=dict)


class Run:
    """Starts, watches and stops the processes of a topology on servers that are up."""

    def __init__(
        self, project: Project, topology: Topology, endpoints: Endpoints, home: Path
    ) -> None:
        self.topology = topology
        self.endpoints = endpoints
        self._project = project
        self._home = home
        self._client = httpx.Client(timeout=STATS_TIMEOUT_S)
        self.workers: list[Worker] = []
        self.may_change = False
        """Whether a worker that dies too often waits for other code, instead of ending the run."""
        self.feed: Process | None = None
        self.started_at_s = time.monotonic()
        self._watch = LagWatch(endpoints.kafka, lane_groups(topology, Choice()))
        self._settled: tuple[Offsets, int] = ({}, 0)
        self.lags: dict[str, int] = {}

    @property
    def elapsed_s(self) -> float:
        """Return how long the run has been on."""
        return time.monotonic() - self.started_at_s

    def start_workers(self) -> None:
        """Start one process for each lane and wait until all answer."""
        ensure_topics(self.topology, self.endpoints.kafka)
        for run in Choice().runs(self.topology):
            steps = [step.name for step in run]
            self._start_worker("+".join(steps), [f"--step={name}" for name in steps])
        for sink in self.topology.sinks:
            self._start_worker(f"sink-{sink.name}", [f"--sink={sink.name}"])
        for gateway in self.topology.gateways:
            self._start_worker(f"gateway-{gateway.name}", [f"--gateway={gateway.name}"])
        self._wait_until_ready()

    def start_feed(self, choice: FeedChoice) -> None:
        """Start the process that writes the feed's frames to Kafka."""
        self.feed = self._process("feed", ["feed", self.topology.name, *choice.arguments()])
        self.started_at_s = time.monotonic()
        self.feed.start()

    def replace_workers(self, topology: Topology) -> None:
        """Drain the workers and start those of a topology's new code; servers and feed go on.

        It has the lanes of the one before. What was committed is kept, and no more was written.
        Raises:  TransientError if one of the new does not get ready; the others go on.
        """
        before = {worker.process.name: worker for worker in self.workers}
        stop_all([worker.process for worker in self.workers])
        self.workers = []
        self.topology = topology
        try:
            self.start_workers()
        finally:
            for worker in self.workers:
                if worker.process.name in before:
                    worker.at_start = before[worker.process.name].at_start

    def check(self) -> None:
        """Ask every process how it is; start dead ones again.

        Raises:  TransientError if one died too often, or the feed failed.
        """
        for worker in self.workers:
            if worker.process.exit_code is not None and not self._revive(worker.process):
                continue
            self._ask(worker)
        for process in self._processes():
            process.sample(self.elapsed_s)
        if self.feed is not None and self.feed.exit_code not in (None, 0):
            raise self.feed.fail()

    def is_finished(self) -> bool:
        """Return whether the feed has ended and every record is through every lane."""
        if self.feed is None or self.feed.exit_code != 0:
            return False
        ends = self._watch.ends()
        self.lags = self._watch.lags(ends)
        before, checks = self._settled
        still = ends == before and not any(self.lags.values())
        self._settled = (ends, checks + 1 if still else 0)
        return self._settled[1] >= SETTLED_CHECKS

    def topic_counts(self) -> dict[str, int]:
        """Return how many records each topic holds, dead letters too."""
        names = {topic.name: topic.partitions for topic in self.topology.topics}
        names |= {topic.dead: topic.partitions for topic in self.topology.topics}
        return self._watch.counts(names)

    def stop(self) -> None:
        """End the feed first, then the workers, in the order records flow."""
        if self.feed is not None:
            stop_all([self.feed])
        stop_all([worker.process for worker in self.workers])
        self._client.close()

    def _revive(self, process: Process) -> bool:
        """Start a dead worker again; return whether it was."""
        if self.may_change and process.restarts >= RESTARTS_MAX:
            return False
        log.error("worker_died", worker=process.name, code=process.exit_code)
        if not process.revive():
            raise process.fail()
        return True

    def _processes(self) -> Sequence[Process]:
        feed = [] if self.feed is None else [self.feed]
        return [*feed, *(worker.process for worker in self.workers)]

    def _start_worker(self, name: str, options: list[str]) -> None:
        port = free_port()
        arguments = ["worker", self.topology.name, f"--web-port={port}", *options]
        worker = Worker(self._process(name, arguments), f"http://127.0.0.1:{port}")
        self.workers.append(worker)  # an interrupt from here on ends it, too
        worker.process.start()

    def _process(self, name: str, arguments: list[str]) -> Process:
        environment = process_environment(self._home, self.endpoints)
        arguments = [*arguments, f"--project={self._project.folder}"]
        return Process(name, arguments, environment, self._home / "logs" / f"{name}.log")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        waiting = list(self.workers)
        while waiting:
            for worker in list(waiting):
                if worker.process.exit_code is not None:
                    raise worker.process.fail()
                if self._ask(worker):
                    worker.at_start = dict(worker.stats["counts"])
                    waiting.remove(worker)
            if time.monotonic() > deadline:
                names = ", ".join(worker.process.name for worker in waiting)
                raise TransientError(f"workers not ready within {READY_TIMEOUT_S} s: {names}")
            time.sleep(0.1)

    def _ask(self, worker: Worker) -> bool:
        try:
            answer = self._client.get(f"{worker.url}/headrace/stats/")
        except httpx.TransportError as error:
            log.debug("stats_unavailable", worker=worker.process.name, error=str(error))
            return False
        if answer.status_code != httpx.codes.OK:
            return False
        worker.stats = answer.json()
        return bool(worker.stats["is_ready"])


def is_ready(client: httpx.Client, url: str) -> bool:
    """Say whether a worker is in its groups and has all of its state; not while it is starting."""
    try:
        return client.get(f"{url}/ready").status_code == httpx.codes.OK
    except httpx.TransportError:  # it does not listen yet, or no longer
        return False


def process_environment(home: Path, endpoints: Endpoints) -> dict[str, str]:
    """Return what a process of a run is told by its environment."""
    return {
        "HEADRACE_HOME": str(home),
        "HEADRACE_KAFKA": endpoints.kafka,
        "HEADRACE_POSTGRES": endpoints.postgres,
        "HEADRACE_REDIS": endpoints.redis,
        # Arrow, numba and BLAS would each start a thread a core in every process.
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }


def step_order(topology: Topology) -> list[str]:
    """Return the names under which stats are kept, in flow order."""
    return [
        *(step.name for step in topology.steps),
        *(f"gateway_{gateway.name}" for gateway in topology.gateways),
        *(f"sink_{sink.name}" for sink in topology.sinks),
    ]
