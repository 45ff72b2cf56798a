"""One run of a topology on servers of its own: quiet, or under a storm; and what it left."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from headrace.errors import TransientError
from headrace.faults import limits
from headrace.faults.copies import check_database, check_redis
from headrace.faults.fleet import Fleet
from headrace.faults.kinds import Stage
from headrace.faults.progress import ProgressWatch, Sample
from headrace.faults.records import RunRecords, read_run
from headrace.faults.repeating import Repeater
from headrace.faults.schedule import Planned
from headrace.faults.settling import Settling
from headrace.faults.storm import Happened, Storm
from headrace.project import Project
from headrace.runtime.assemble import Choice
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.topology import Topic, Topology
from headrace.up.lag import LaneGroup, lane_groups
from headrace.up.run import FeedChoice

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run is of: a topology, its input, its workers, and where it lives meanwhile."""

    project: Project
    topology: Topology
    home: Path
    feed: FeedChoice
    workers: int = limits.WORKERS_DEFAULT
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What a run left behind, and how it went.

    `copies` has, by sink and topic, what the sink has too few or too many of.
    """

    records: RunRecords
    copies: dict[str, dict[str, list[str]]]
    happened: list[Happened] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    repeated: dict[str, int] = field(default_factory=dict)
    undrained: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    input_s: float = 0.0
    whole_s: float = 0.0


def run_under(plan: RunPlan, schedule: Sequence[Planned], seed: int = 0) -> Outcome:
    """Run the input through a fleet on fresh servers under these faults, none for a quiet run.

    Raises:  TransientError if the fleet cannot be started or a worker dies in a loop.
    """
    began = time.monotonic()
    with _servers(plan) as servers, _fleet(plan, servers) as fleet:
        with _repeater(plan, servers, seed) as repeater:
            outcome = _storm(plan, fleet, Stage(fleet, servers, repeater), schedule)
            outcome.repeated = dict(repeater.sent)
        fleet.stop()
        outcome.records = read_run(plan.project, plan.topology, servers.endpoints.kafka)
        outcome.copies = _copies(plan.topology, outcome.records, servers)
    outcome.whole_s = time.monotonic() - began
    return outcome


def _storm(plan: RunPlan, fleet: Fleet, stage: Stage, schedule: Sequence[Planned]) -> Outcome:
    """Let the input and the faults happen; return when nothing moves any more."""
    bootstrap = fleet.endpoints.kafka
    groups = lane_groups_of(plan.topology)
    fleet.start_workers()
    stage.repeater.start()
    fleet.start_feed(plan.feed)
    fleet.wait_for_input()
    started_at = time.monotonic()
    watch = ProgressWatch(bootstrap, groups, started_at)
    storm = Storm(stage, schedule)
    outcome = Outcome(RunRecords({}), {})
    must_hurry = plan.feed.speed != "max"
    watch.start()
    try:
        while not (storm.is_over and fleet.feed_is_done and stage.repeater.is_idle):
            now_s = time.monotonic() - started_at
            if now_s > limits.STORM_S_MAX:
                raise TransientError(f"input and faults do not end within {now_s:.0f} s")
            storm.step(now_s)
            if storm.is_over and must_hurry:
                fleet.hurry_feed(plan.feed)
                must_hurry = False
            fleet.tend()
            time.sleep(limits.TICK_S)
        outcome.input_s = time.monotonic() - started_at
        outcome.unsettled = _settle(fleet, Settling(bootstrap, groups))
    finally:
        storm.heal_all()
        watch.stop()
    outcome.happened = storm.happened
    outcome.samples = watch.samples
    outcome.deaths = fleet.deaths
    outcome.undrained = list(fleet.undrained)
    return outcome


def lane_groups_of(topology: Topology) -> list[LaneGroup]:
    """Return the consumer groups of a whole topology."""
    return lane_groups(topology, Choice())


def _settle(fleet: Fleet, settling: Settling) -> list[str]:
    """Wait until nothing moves; return the lanes that are not through, in words."""
    deadline = time.monotonic() + limits.SETTLE_S_MAX
    while not settling.look():
        if time.monotonic() > deadline:
            return settling.words()
        fleet.tend()
        time.sleep(limits.LOOK_S)
    return []


def servers_of(topology: Topology) -> tuple[str, ...]:
    """Return the servers a topology needs."""
    return ("kafka", *(sink.name for sink in topology.sinks))


@contextlib.contextmanager
def _servers(plan: RunPlan) -> Iterator[Servers]:
    """Give fresh servers, those the topology needs; of their folder only the logs are kept."""
    home = plan.home
    shutil.rmtree(home, ignore_errors=True)
    settings = Settings.load(
        home=home,
        kafka=None,
        postgres=None,
        redis=None,
        startup_timeout_s=limits.SERVER_START_S_MAX,
    )
    with Servers(settings, only=frozenset(servers_of(plan.topology))) as servers:
        yield servers
    for folder in home.iterdir():
        if folder.is_dir() and folder.name != "logs":
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _fleet(plan: RunPlan, servers: Servers) -> Iterator[Fleet]:
    """Give a fleet of which no process is left, however the context ends."""
    fleet = Fleet(
        plan.project,
        plan.topology,
        servers.endpoints,
        plan.home,
        workers=plan.workers,
        environment=plan.environment,
    )
    try:
        yield fleet
    finally:
        fleet.kill()


@contextlib.contextmanager
def _repeater(plan: RunPlan, servers: Servers, seed: int) -> Iterator[Repeater]:
    topics = (plan.topology.source.topic, *plan.topology.proof.repeatable)
    counts = {topic.name: topic.partitions for topic in topics}
    repeater = Repeater(servers.endpoints.kafka, counts, seed)
    try:
        yield repeater
    finally:
        repeater.stop()


def _copies(
    topology: Topology, records: RunRecords, servers: Servers
) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for sink in topology.sinks:
        topics: Sequence[Topic] = sink.reads
        if sink.name == "postgres":
            found[sink.name] = check_database(records, topics, servers.endpoints.postgres)
        else:
            found[sink.name] = check_redis(records, topics, servers.endpoints.redis)
    return found
