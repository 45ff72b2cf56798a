"""Kill -9 of one of three workers with large state: when are its partitions processed again?

Two cases on embedded Kafka: the survivors keep standbys, or their disks have nothing of what moves.
Writes the section "takeover" of docs/faults.md. Exit code 1 if a case misses its bound.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.page import machine, with_section
from benchmarks.touches import Feed, Outputs, keys_a_partition
from headrace.faults.fleet import Fleet
from headrace.faults.run import lane_groups_of
from headrace.project import Project
from headrace.runtime.assemble import Choice
from headrace.runtime.topics import changelog_topic, lane_name
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.state.inspect import task_states
from headrace.up.lag import LagWatch

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "faults.md"
SECTION = "takeover"
PROJECT = ROOT / "benchmarks" / "projects" / "wide"
WORKERS = 3
STATE_KEY_BYTES = 4_096
"""What the project keeps a key."""

BOUNDS_S = {"with standby": 5.0, "without standby": 30.0}

KEYS_A_SEND = 2_048
BACKLOG_MAX = 20_000
"""Records of the filling that may wait: more would only lie in the broker."""

WARM_S = 5.0
"""Of steady work before the kill."""

WAIT_S_MAX = 900.0
"""To fill the state on a busy machine."""

TAKEOVER_S_MAX = 180.0
STILL_LOOKS = 4
"""How often in a row, a second apart, the disks must be the same before standbys count as warm."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a worker logged of a partition, and how long after the kill."""

    event: str
    partition: int
    after_s: float
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Takeover:
    """What a kill cost; seconds count from it, each for the partition that took longest.

    `noticed_s`: a survivor was given it. `restored_s`: its state was read back. `processed_s`: a
    record sent after the kill was read from the output, committed; None if that took too long.
    `restore_s` is the longest single restore, `records_read` the most one read of the changelog.
    """

    case: str
    session_ms: int
    state_mb: float
    partitions: int
    moved_mb: float
    noticed_s: float
    restored_s: float
    restore_s: float
    records_read: int
    processed_s: float | None

    @property
    def is_within(self) -> bool:
        """Say whether it took no longer than it may."""
        return self.processed_s is not None and self.processed_s <= BOUNDS_S[self.case]


def main() -> int:
    """Measure the cases, print and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-mb", type=float, default=1_000)
    parser.add_argument("--session-ms", type=int, default=1_000)
    parser.add_argument("--case", choices=BOUNDS_S, action="append")
    parser.add_argument("--home", type=Path, default=ROOT / ".headrace" / "takeover")
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    chosen = parser.parse_args()
    home = chosen.home.absolute()
    found = [
        measure(case, chosen.state_mb, chosen.session_ms, home / case.replace(" ", "-"))
        for case in chosen.case or BOUNDS_S
    ]
    lines = section(found, machine())
    print("\n".join(lines))
    figures = json.dumps([asdict(takeover) for takeover in found], indent=2)
    home.joinpath("takeover.json").write_text(figures)
    if not chosen.dry:
        PAGE.write_text(with_section(PAGE.read_text(), SECTION, lines))
        print(f"written to {PAGE}")
    return 0 if all(takeover.is_within for takeover in found) else 1


def section(found: Sequence[Takeover], where: str) -> list[str]:
    """Return the figures as lines of the page."""
    columns = (
        *("case", "session ms", "state MB", "partitions moved", "MB moved"),
        *("group notices s", "longest restore s", "changelog records it read", "state there s"),
        *("**processed again s**", "bound s", ""),
    )
    return [
        f"`make takeover` on {where}:",
        "",
        f"| {' | '.join(columns)} |",
        "|---|" + "---|" * (len(columns) - 1),
        *(
            f"| {t.case} | {t.session_ms:,} | {t.state_mb:,.0f} | {t.partitions} | "
            f"{t.moved_mb:,.0f} | {t.noticed_s:.1f} | {t.restore_s:.1f} | {t.records_read:,} | "
            f"{t.restored_s:.1f} | {'never' if t.processed_s is None else f'{t.processed_s:.1f}'} "
            f"| {BOUNDS_S[t.case]:.0f} | {'held' if t.is_within else '**missed**'} |"
            for t in found
        ),
    ]


def measure(case: str, state_mb: float, session_ms: int, home: Path) -> Takeover:
    """Return what the kill of one of three workers costs in a case, on fresh servers."""
    shutil.rmtree(home, ignore_errors=True)
    project = Project(PROJECT)
    topology = project.topology("wide")
    keys = [f"key-{number}" for number in range(round(state_mb * 1e6 / STATE_KEY_BYTES))]
    settings = {
        "HEADRACE_SESSION_TIMEOUT_MS": str(session_ms),
        "HEADRACE_STANDBY": str(case == "with standby").lower(),
    }
    with Servers(Settings.load(home=home, kafka=None), only=frozenset({"kafka"})) as servers:
        bootstrap = servers.endpoints.kafka
        fleet = Fleet(
            project, topology, servers.endpoints, home, workers=WORKERS, environment=settings
        )
        with killed_at_the_end(fleet):
            fleet.start_workers()
            feed = Feed(bootstrap, topology.source.topic, project.schemas)
            outputs = Outputs(bootstrap, topology.steps[0].writes[0], project.schemas)
            fill(fleet, feed, LagWatch(bootstrap, lane_groups_of(topology)), keys)
            if case == "with standby":
                wait_for(fleet, "standbys to be warm", has_stopped_growing(home / "pods"))
            feed.start(keys)
            moved, entries, processed = strike(fleet, outputs, home / "logs")
            feed.stop()
            outputs.close()
    for folder in ("kafka", "pods"):
        shutil.rmtree(home / folder)
    counts = keys_a_partition(keys, topology.source.topic.partitions)
    return Takeover(
        case,
        session_ms,
        len(keys) * STATE_KEY_BYTES / 1e6,
        len(moved),
        sum(counts[partition] for partition in moved) * STATE_KEY_BYTES / 1e6,
        **worst(entries, moved),
        processed_s=max(processed.values()) if processed.keys() == moved else None,
    )


def fill(fleet: Fleet, feed: Feed, watch: LagWatch, keys: Sequence[str]) -> None:
    """Touch every key once and wait until all are counted."""
    say(f"filling the state of {len(keys):,} keys")
    for first in range(0, len(keys), KEYS_A_SEND):
        feed.send(keys[first : first + KEYS_A_SEND])
        if first % BACKLOG_MAX < KEYS_A_SEND:
            feed.flush()
            wait_for(fleet, "the filling", lambda: watch.worst() < BACKLOG_MAX)
    feed.flush()
    wait_for(fleet, "the filling", lambda: watch.worst() == 0)


def strike(
    fleet: Fleet, outputs: Outputs, logs: Path
) -> tuple[set[int], list[Entry], dict[int, float]]:
    """Kill the worker with most partitions; return those, what was logged, what took how long.

    Of the partitions those that were processed again in time, by seconds from the kill.
    """
    every = set(range(fleet.topology.source.topic.partitions))
    wait_for(fleet, "steady work", lambda: is_steady(outputs, every))
    wait_for(fleet, "every worker to have partitions", lambda: len(owned(fleet)) == WORKERS)
    mine = owned(fleet)
    victim = max(mine, key=lambda name: len(mine[name]))
    say(f"killing {victim}; partitions are {mine}")
    killed_at_ns, killed_at_s = time.time_ns(), time.monotonic()
    fleet.signal(victim, signal.SIGKILL, comes_back=False)
    seen = outputs.first_of(mine[victim], sent_after_ns=killed_at_ns, timeout_s=TAKEOVER_S_MAX)
    entries = [
        entry
        for name in fleet.members
        if name != victim
        for entry in logged((logs / f"{name}.log").read_text(), killed_at_ns / 1e9)
        if entry.after_s >= 0
    ]
    return mine[victim], entries, {p: at_s - killed_at_s for p, at_s in seen.items()}


def owned(fleet: Fleet) -> dict[str, set[int]]:
    """Return the partitions of each worker that has some, as their changelogs have it."""
    topology = fleet.topology
    (run,) = Choice().runs(topology)
    source = topology.source.topic
    tasks = task_states(
        fleet.endpoints.kafka,
        lane_name(topology, run),
        changelog=changelog_topic(topology, run),
        partitions=source.partitions,
        inputs={source.name: source.partitions},
        folder=Path(os.devnull),
    )
    found: dict[str, set[int]] = {}
    for task in tasks:
        found.setdefault(task.owner, set()).add(task.partition)
    return found


def is_steady(outputs: Outputs, partitions: set[int]) -> bool:
    """Say whether all partitions gave something sent now, after some time of it."""
    time.sleep(WARM_S)
    now_ns = time.time_ns()
    return outputs.first_of(partitions, sent_after_ns=now_ns, timeout_s=WARM_S).keys() == partitions


def logged(text: str, since_s: float) -> list[Entry]:
    """Return what a worker's log says of partitions, in its order."""
    found = []
    for line in text.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        numbers = event.get("partitions", [event["partition"]] if "partition" in event else [])
        if numbers and "timestamp" in event:
            after_s = datetime.fromisoformat(event["timestamp"]).timestamp() - since_s
            found += [Entry(event["event"], number, after_s, event) for number in numbers]
    return found


def worst(entries: Sequence[Entry], moved: set[int]) -> dict[str, Any]:
    """Return what the survivors logged of the partitions that moved, for the slowest of them."""
    given = [e for e in entries if e.event == "partitions_assigned" and e.partition in moved]
    restored = [e for e in entries if e.event == "state_restored" and e.partition in moved]
    return {
        "noticed_s": max((e.after_s for e in given), default=0.0),
        "restored_s": max((e.after_s for e in restored), default=0.0),
        "restore_s": max((e.fields["took_s"] for e in restored), default=0.0),
        "records_read": max((e.fields["records_read"] for e in restored), default=0),
    }


def has_stopped_growing(folder: Path) -> Callable[[], bool]:
    """Return a question whether the files of a folder have stopped growing."""
    sizes: list[int] = []

    def is_still() -> bool:
        time.sleep(1)
        sizes.append(sum(size_bytes(file) for file in folder.rglob("*.*")))
        return len(sizes) > STILL_LOOKS and len(set(sizes[-STILL_LOOKS:])) == 1

    return is_still


def size_bytes(file: Path) -> int:
    """Return the size of a file; 0 for one that RocksDB has just deleted."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def wait_for(fleet: Fleet, what: str, is_so: Callable[[], bool]) -> None:
    """Ask until something is so, and start again workers that die meanwhile.

    Raises:  TimeoutError after a bound.
    """
    deadline = time.monotonic() + WAIT_S_MAX
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {WAIT_S_MAX:.0f} s for {what}")
        fleet.tend()
        time.sleep(0.1)


@contextmanager
def killed_at_the_end(fleet: Fleet) -> Iterator[None]:
    """End every process of a fleet, however the context ends."""
    try:
        yield
    finally:
        fleet.kill()


def say(words: str) -> None:
    """Tell the person at the terminal how far it is."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
