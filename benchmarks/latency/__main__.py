"""Tick to order: how long a record takes through our steps, beside bare hops of librdkafka.

Writes the section "latency" of docs/benchmarks.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.latency.gauge import Latency, Route, measure
from benchmarks.page import machine, with_section
from headrace.project import Project
from headrace.runtime.assemble import Choice, ensure_topics
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.topology import Topology
from headrace.up.processes import Process, free_port, stop_all
from headrace.up.run import process_environment

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "benchmarks" / "projects" / "relay"
PAGE = ROOT / "docs" / "benchmarks.md"
FIGURES = ROOT / "docs" / "benchmarks" / "latency.json"
RATES_A_S = (1_000, 10_000, 50_000)
RATIO_MAX = 1.5
JUDGED_RATE_A_S = 10_000
START_S = 10.0
"""For processes to join and settle."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement: what stood between, at which rate, in which round."""

    way: str
    rate_a_s: int
    round: int
    latency: Latency


WAYS = ("one bare hop", "fused", "five bare hops", "split")
"""Each pair has as many hops of Kafka; a hop into the first and out of the last come on top."""

PEER_OF = {"fused": "one bare hop", "split": "five bare hops"}


def main() -> None:
    """Measure every way at every rate, round by round; print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duration", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, action="append")
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    chosen = parser.parse_args()
    topology = Project(PROJECT).topology("relay")
    with (
        tempfile.TemporaryDirectory(prefix="headrace-latency-") as home,
        Servers(Settings.load(home=home, kafka=None), only=frozenset({"kafka"})) as servers,
    ):
        bench = Bench(topology, servers, Path(home))
        figures = [
            figure
            for number in range(1, chosen.rounds + 1)
            for way in WAYS
            for figure in bench.run(way, number, chosen.rate or RATES_A_S, chosen.duration)
        ]
    lines = section(figures)
    print("\n".join(lines))
    if not chosen.dry:
        FIGURES.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
        PAGE.write_text(with_section(PAGE.read_text(), "latency", lines))


class Bench:
    """The ways through one Kafka, set up one at a time."""

    def __init__(self, topology: Topology, servers: Servers, home: Path) -> None:
        self._topology = topology
        self._endpoints = servers.endpoints
        self._home = home
        self._hops = topology.topics
        ensure_topics(topology, self._endpoints.kafka, Choice().runs(topology))
        ensure_topics(topology, self._endpoints.kafka, Choice(fuse=False).runs(topology))

    def run(
        self, way: str, number: int, rates: Sequence[int], duration_s: float
    ) -> Iterator[Figure]:
        """Measure one way at every rate."""
        last = 1 if way == "one bare hop" else len(self._hops) - 1
        schemas = PROJECT / "schemas" / "avro"
        route = Route(self._endpoints.kafka, self._hops[0], self._hops[last], schemas)
        with self._set_up(way):
            time.sleep(START_S)
            for rate in rates:
                yield Figure(way, rate, number, measure(route, rate, duration_s))

    @contextmanager
    def _set_up(self, way: str) -> Iterator[None]:
        if way in PEER_OF:
            with self._workers(way):
                yield
            return
        count = 1 if way == "one bare hop" else len(self._hops) - 1
        names = [topic.name for topic in self._hops]
        relays = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.latency.bare", self._endpoints.kafka, *pair],
                cwd=ROOT,
            )
            for pair in pairwise(names[: count + 1])
        ]
        try:
            yield
        finally:
            for relay in relays:
                relay.kill()
                relay.wait()

    @contextmanager
    def _workers(self, way: str) -> Iterator[None]:
        home = self._home / way
        environment = process_environment(home, self._endpoints)
        steps = [step.name for step in self._topology.steps]
        runs = [[]] if way == "fused" else [["--no-fused", f"--step={name}"] for name in steps]
        workers = [
            Process(
                f"{way}-{place}",
                ["worker", "relay", f"--project={PROJECT}", f"--web-port={free_port()}", *run],
                environment,
                self._home / f"{way}-{place}.log",
            )
            for place, run in enumerate(runs)
        ]
        for worker in workers:
            worker.start()
        try:
            yield
            for worker in workers:
                if worker.exit_code is not None:
                    raise worker.fail()
        finally:
            stop_all(workers)


def section(figures: Sequence[Figure]) -> list[str]:
    """Return the page's section: medians over rounds, and the ratios that are judged."""
    lines = [
        f"Made by `make bench-latency` on {machine()}.",
        "",
        "| records/s | way | p50 ms | p99 ms | came | p50 against bare | p99 against bare |",
        "|---|---|---|---|---|---|---|",
    ]
    found: dict[tuple[int, str], list[Latency]] = {}
    for figure in sorted(figures, key=lambda figure: (figure.rate_a_s, WAYS.index(figure.way))):
        found.setdefault((figure.rate_a_s, figure.way), []).append(figure.latency)
    for (rate, way), latencies in found.items():
        p50 = median(latency.p50_ms for latency in latencies)
        p99 = median(latency.p99_ms for latency in latencies)
        came = sum(x.came for x in latencies) / max(1, sum(x.sent for x in latencies))
        ratios = ["", ""]
        peers = found.get((rate, PEER_OF.get(way, "")), [])
        if peers:
            ratios = [
                f"{p50 / median(x.p50_ms for x in peers):.2f} times",
                f"{p99 / median(x.p99_ms for x in peers):.2f} times",
            ]
        lines.append(
            f"| {rate:,} | {way} | {p50:.2f} | {p99:.2f} | {came:.1%} | {ratios[0]} | {ratios[1]} |"
        )
    return lines


if __name__ == "__main__":
    main()
