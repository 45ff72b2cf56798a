"""How long a worker takes that finds its state in the changelog alone."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.takeover import (
    PROJECT,
    STATE_KEY_BYTES,
    Entry,
    fill,
    killed_at_the_end,
    logged,
    wait_for,
)
from benchmarks.touches import Feed
from benchmarks.written import say
from headrace.faults.fleet import Fleet
from headrace.faults.run import lane_groups_of
from headrace.project import Project
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.up.lag import LagWatch


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore of all partitions by one worker.

    `restored_s` counts from when it was given the first partition to when the last was there.
    """

    state_mb: float
    keys: int
    restored_s: float
    records_read: int
    memory_mb: float


def restore(state_mb: float, home: Path) -> Restore:
    """Fill a state, take the disk away, and start a worker again."""
    home = home / f"restore-{state_mb:.0f}"
    project = Project(PROJECT)
    topology = project.topology("wide")
    keys = [f"key-{number}" for number in range(round(state_mb * 1e6 / STATE_KEY_BYTES))]
    with Servers(Settings.load(home=home, kafka=None), only=frozenset({"kafka"})) as servers:
        fleet = Fleet(project, topology, servers.endpoints, home, workers=1)
        with killed_at_the_end(fleet):
            fleet.start_workers()
            feed = Feed(servers.endpoints.kafka, topology.source.topic, project.schemas)
            fill(fleet, feed, LagWatch(servers.endpoints.kafka, lane_groups_of(topology)), keys)
            fleet.stop()
        shutil.rmtree(home / "pods")
        again = Fleet(project, topology, servers.endpoints, home, workers=1)
        entries, memory_mb = started(again, home)
    shutil.rmtree(home)
    given = [entry.after_s for entry in entries if entry.event == "partitions_assigned"]
    restored = [entry for entry in entries if entry.event == "state_restored"]
    found = Restore(
        state_mb,
        len(keys),
        max(entry.after_s for entry in restored) - min(given),
        sum(entry.fields["records_read"] for entry in restored),
        memory_mb,
    )
    say(f"{state_mb:,.0f} MB restored in {found.restored_s:.1f} s")
    return found


def started(fleet: Fleet, home: Path) -> tuple[list[Entry], float]:
    """Start the only worker; return what it logged until all was restored, and its peak in MiB."""
    began_s = time.time()
    partitions = fleet.topology.source.topic.partitions
    log = home / "logs" / f"{fleet.lanes[0].names[0]}.log"

    def entries() -> list[Entry]:
        return logged(log.read_text(), began_s)

    def is_restored() -> bool:
        member = fleet.members[fleet.lanes[0].names[0]]
        member.process.sample(time.monotonic())
        return sum(entry.event == "state_restored" for entry in entries()) >= partitions

    with killed_at_the_end(fleet):
        fleet.start_workers()
        wait_for(fleet, "the restore", is_restored)
        return entries(), fleet.members[fleet.lanes[0].names[0]].process.memory.peak_mb
