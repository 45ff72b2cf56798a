"""The sample project of two steps for real: run, stopped, reset, replayed under a label."""

import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.project import Project
from headrace.topology import Topology
from tests.integration import sample_run as sample
from tests.sample_project import as_only_project

PROJECT = Path(__file__).resolve().parent.parent / "projects" / "peaks"
TALLY_TOPIC, PEAK_TOPIC = "sample.tally.v1", "sample.peak.v1"
PARTITIONS = {sample.TICK_TOPIC: 4, TALLY_TOPIC: 2, PEAK_TOPIC: 2}
TALLY_GROUP, PEAKS_GROUP = "headrace.peaks.tally", "headrace.peaks.peaks"


def topology() -> Topology:
    """Return the project's graph."""
    with as_only_project():
        return Project(PROJECT).topology("peaks")


def make_topics(bootstrap: str) -> None:
    """Create the topics, to write to before a worker does."""
    plans = [TopicPlan(name, count) for name, count in PARTITIONS.items()]
    Admin(bootstrap).ensure(plans, replicas=1)


def changed_project(folder: Path, old: str, new: str) -> Path:
    """Return a copy of the project whose peaks are found in another way."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    agent = folder / "agents" / "find_peaks.py"
    text = agent.read_text()
    assert old in text
    agent.write_text(text.replace(old, new))
    return folder


def worker(
    bootstrap: str, home: Path, project: Path = PROJECT, *more: str
) -> AbstractContextManager[sample.WorkerProcess]:
    """Give a worker of the graph."""
    command = ("-m", "headrace", "worker", "peaks", f"--project={project}", *more)
    return sample.worker(bootstrap, home, *command)


def run_until_done(bootstrap: str, home: Path, project: Path = PROJECT) -> None:
    """Run a worker until it has done all there is, then stop it."""
    with worker(bootstrap, home, project) as running:
        running.wait_until_ready()
        sample.wait_for("all done", lambda: lag(bootstrap) == 0)
        assert running.end() == 0


def lag(bootstrap: str) -> int:
    """Return how many offsets the two groups have not finished."""
    return _lag(bootstrap, TALLY_GROUP, sample.TICK_TOPIC) or _lag(
        bootstrap, PEAKS_GROUP, TALLY_TOPIC
    )


def _lag(bootstrap: str, group: str, topic: str) -> int:
    query = OffsetQuery(bootstrap, group)
    places = places_of_topics({topic: PARTITIONS[topic]})
    committed, ends = query.committed(places), query.ends(places)
    query.close()
    return sum(end - committed.get(place, 0) for place, end in ends.items())


def records(bootstrap: str, topic: str, stem: str, partitions: int = 2) -> list[dict[str, Any]]:
    """Return the records of a topic, partition by partition."""
    registry = SchemaLog(bootstrap)
    decoder = Decoder(load_schema(PROJECT / "schemas" / "avro", stem), registry.schema)
    parts = sorted(read_all(bootstrap, {topic: partitions}), key=lambda part: part.partition)
    rows: list[dict[str, Any]] = []
    for part in parts:
        rows += decoder.decode(part.values).records.to_pylist()
    registry.close()
    return rows


def peaks(bootstrap: str, topic: str = PEAK_TOPIC) -> list[tuple[str, int, int, int]]:
    """Return the peaks in order of symbol and sequence, then as they were written."""
    rows = [tuple(row.values()) for row in records(bootstrap, topic, "peak.v1")]
    return sorted(rows, key=lambda row: row[:2])  # type: ignore[return-value]


def expected_peaks(
    count: int, *, symbols: int = 7, first: int = 0, factor: int = 1, every: int = 10
) -> list[tuple[str, int, int, int]]:
    """Return the peaks of these ticks, each once, if they begin with an empty state."""
    found = []
    for symbol in range(symbols):
        numbers = [n for n in range(first, first + count) if n % symbols == symbol]
        lots, last = 0, 0
        for sequence, number in enumerate(numbers, start=1):
            lots += 1 + number % 5
            if sequence % every == 0:
                found.append((f"S{symbol}", sequence, lots - last, factor * lots))
                last = lots
    return sorted(found)


def headrace(
    bootstrap: str, home: Path, *arguments: str, project: Path = PROJECT, answer: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command of headrace on the project to its end."""
    environment = {**os.environ, "HEADRACE_KAFKA": bootstrap, "HEADRACE_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "headrace", *arguments, f"--project={project}"],
        env=environment,
        check=False,
        input=answer,
        capture_output=True,
        text=True,
        timeout=sample.WAIT_S,
    )
