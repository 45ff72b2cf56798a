"""Tick to order: how long a record takes through our steps, bare hops, and Kafka Streams.

Writes the section "latency" of docs/benchmarks.md.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from benchmarks.latency.gauge import Latency, Route, measure
from benchmarks.latency.streams import Relay
from benchmarks.page import machine
from benchmarks.spread import Spread, Target, ratios, spread, verdict_lines
from benchmarks.throughput.java import class_path
from benchmarks.written import say, write
from headrace.avro.registry import subject_of
from headrace.avro.schema import load_schema
from headrace.errors import TransientError
from headrace.kafka.schema_log import SchemaLog
from headrace.project import Project
from headrace.runtime.assemble import Choice, ensure_topics
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.topology import Topology
from headrace.up.processes import Process, free_port, stop_all
from headrace.up.run import STATS_TIMEOUT_S, is_ready, process_environment

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "benchmarks" / "projects" / "relay"
SCHEMAS = PROJECT / "schemas" / "avro"
SECTION = "latency"
PICTURE = "benchmarks/latency.png"
RATES_A_S = (1_000, 10_000, 50_000)
RATIO_MAX = 1.5
STREAMS_RATIO_MAX = 0.5
JUDGED_RATE_A_S = 10_000
SHOWN_S = 3.0
"""How long the other rates are measured, at most: they are only shown."""
KAFKA = frozenset({"kafka"})
READY_S_MAX = 120.0
"""For workers to join their groups: on two cores five of them take a quarter of a minute."""

READY_POLL_S = 0.2
SETTLE_S = 3.0
"""For processes that are there to settle."""

BROKER_WARM_WAY = "one bare hop"
BROKER_WARM_S = 30.0
"""The same bare hop took 72, 42 and 25 ms in a broker's first minutes: the first looked worst."""

JAVA_WARM_S = 12.0
"""How long Java is sent the judged rate before it counts, beside the warm-up all have: its first
seconds run interpreted."""

WORKERS_WARM_S = 5.0
"""The same of ours: kernels are loaded with the first batches, by five processes on two cores."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement: what stood between, at which rate, in which round."""

    way: str
    rate_a_s: int
    round: int
    latency: Latency


WAYS = (
    "one bare hop",
    "fused",
    "fused, exactly once",
    "Kafka Streams, fused",
    "Kafka Streams, fused, exactly once",
    "five bare hops",
    "split",
    "split, exactly once",
    "Kafka Streams, split",
    "Kafka Streams, split, exactly once",
)
"""One hop of Kafka or five; a hop into the first and out of the last come on top."""

BARE_OF = {"fused": "one bare hop", "split": "five bare hops"}
"""What is judged: ways that promise the same, at least once, over as many hops."""

STREAMS_OF = {
    way: f"Kafka Streams, {way}"
    for way in ("fused", "fused, exactly once", "split", "split, exactly once")
}
"""The same hops and the same promise."""


def main() -> None:
    """Measure every way at every rate, round by round; print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duration", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rate", type=int, action="append")
    parser.add_argument("--way", choices=WAYS, action="append")
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    chosen = parser.parse_args()
    topology = Project(PROJECT).topology("relay")
    with (
        tempfile.TemporaryDirectory(prefix="headrace-latency-") as home,
        Servers(settings := Settings.load(home=home, kafka=None), only=KAFKA) as servers,
    ):
        java = class_path(settings.cache / "bench", Path(home) / "classes")
        bench = Bench(topology, servers, Path(home), java)
        bench.warm()
        figures = [
            figure
            for number in range(1, chosen.rounds + 1)
            for way in chosen.way or WAYS
            for figure in bench.run(way, number, chosen.rate or rates_of(way), chosen.duration)
        ]
    lines = section(figures, chosen.rounds)
    print("\n".join(lines))
    if not chosen.dry:
        write(SECTION, lines, drawn(figures))


def rates_of(way: str) -> Sequence[int]:
    """Return at which rates a way is measured; in transactions it is their interval that tells."""
    return (JUDGED_RATE_A_S,) if "exactly" in way else RATES_A_S


class Bench:
    """The ways through one Kafka, set up one at a time."""

    def __init__(self, topology: Topology, servers: Servers, home: Path, java: str) -> None:
        self._topology = topology
        self._endpoints = servers.endpoints
        self._home = home
        self._java = java
        self._hops = topology.topics
        ensure_topics(topology, self._endpoints.kafka, Choice().runs(topology))
        ensure_topics(topology, self._endpoints.kafka, Choice(fuse=False).runs(topology))

    def warm(self) -> None:
        """Have the broker do what it will be measured at: Java compiles it meanwhile."""
        for figure in self.run(BROKER_WARM_WAY, 0, [JUDGED_RATE_A_S], BROKER_WARM_S):
            say(f"to warm the broker, not counted: {words(figure)}")

    def run(
        self, way: str, number: int, rates: Sequence[int], duration_s: float
    ) -> Iterator[Figure]:
        """Measure one way at every rate."""
        last = 1 if way == "one bare hop" else len(self._hops) - 1
        route = Route(self._endpoints.kafka, self._hops[0], self._hops[last], SCHEMAS)
        with self._set_up(way, number):
            time.sleep(SETTLE_S)
            warm_s = JAVA_WARM_S if "Streams" in way else WORKERS_WARM_S
            if "bare" not in way and not measure(route, JUDGED_RATE_A_S, warm_s).came:
                raise TransientError(
                    f"{way}: nothing came of its warm-up; its log is in {self._home}"
                )
            for rate in rates:
                seconds = duration_s if rate == JUDGED_RATE_A_S else min(duration_s, SHOWN_S)
                figure = Figure(way, rate, number, measure(route, rate, seconds))
                say(words(figure))
                yield figure

    @contextmanager
    def _set_up(self, way: str, number: int) -> Iterator[None]:
        if "Streams" in way:
            with self._relay(way, number).running():
                yield
            return
        if "bare" not in way:
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

    def _relay(self, way: str, number: int) -> Relay:
        registry = SchemaLog(self._endpoints.kafka)
        schema_id = 0
        for topic in self._hops:  # of one schema, so of one id
            schema_id = registry.register(
                subject_of(topic.name), load_schema(SCHEMAS, topic.schema)
            )
        registry.close()
        return Relay(
            self._endpoints.kafka,
            [topic.name for topic in self._hops],
            schema_id,
            self._java,
            self._home,
            f"{way.replace(', ', '-').replace(' ', '-').lower()}-{number}",
            is_split="split" in way,
            is_exact="exactly" in way,
        )

    @contextmanager
    def _workers(self, way: str) -> Iterator[None]:
        home = self._home / way
        environment = process_environment(home, self._endpoints) | {
            "BENCH_GUARANTEE": "exactly_once" if "exactly" in way else "at_least_once"
        }
        steps = [step.name for step in self._topology.steps]
        is_split = way.startswith("split")
        runs = [["--no-fused", f"--step={name}"] for name in steps] if is_split else [[]]
        ports = [free_port() for _ in runs]
        workers = [
            Process(
                f"{way}-{place}",
                ["worker", "relay", f"--project={PROJECT}", f"--web-port={port}", *run],
                environment,
                self._home / f"{way}-{place}.log",
            )
            for place, (port, run) in enumerate(zip(ports, runs, strict=True))
        ]
        for worker in workers:
            worker.start()
        try:
            for worker, port in zip(workers, ports, strict=True):
                wait_until_ready(worker, port)
            yield
            for worker in workers:
                if worker.exit_code is not None:
                    raise worker.fail()
        finally:
            stop_all(workers)


def wait_until_ready(worker: Process, port: int) -> None:
    """Return once a worker says that it is at work.

    Raises:  TransientError if it ended; TimeoutError if it is not ready within READY_S_MAX.
    """
    deadline_s = time.monotonic() + READY_S_MAX
    with httpx.Client(timeout=STATS_TIMEOUT_S) as client:
        while not is_ready(client, f"http://127.0.0.1:{port}"):
            if worker.exit_code is not None:
                raise worker.fail()
            if time.monotonic() > deadline_s:
                raise TimeoutError(
                    f"{worker.name}: expected it ready within {READY_S_MAX:g} s, found it is not"
                )
            time.sleep(READY_POLL_S)


def words(figure: Figure) -> str:
    """Return a measurement in a line."""
    found = figure.latency
    return (
        f"round {figure.round}: {figure.way} at {figure.rate_a_s:,} records/s: p50 "
        f"{found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms, {found.came:,} of {found.sent:,} came"
    )


def section(figures: Sequence[Figure], rounds: int) -> list[str]:
    """Return the part of the page: every way at every rate, and the ratios that are judged."""
    lines = [
        f"`make bench-latency` on {machine()}; medians of {rounds} rounds, ways in turn.",
        "",
        "| records/s | way | p50 ms | range | p99 ms | range | came |",
        "|---|---|---|---|---|---|---|",
    ]
    for (rate, way), found in by_rate(figures).items():
        p50s, p99s = spread(p50s_ms(found)).text(), spread(p99s_ms(found)).text()
        came = sum(each.came for each in found) / sum(each.sent for each in found)
        lines.append(f"| {rate:,} | {way} | {p50s} | {p99s} | {came:.1%} |")
    return [*lines, "", *verdict_lines(verdicts(figures)), "", f"![ms]({PICTURE})"]


def verdicts(figures: Sequence[Figure]) -> list[tuple[Target, Spread]]:
    """Return how our ways compare with their peers at the rate that is judged, round by round."""
    found = by_rate(figures)
    judged = []
    bounds = [
        *((way, bare, p, RATIO_MAX) for way, bare in BARE_OF.items() for p in ("p50", "p99")),
        *((way, streams, "p99", STREAMS_RATIO_MAX) for way, streams in STREAMS_OF.items()),
    ]
    for way, peer, part, bound in bounds:
        ours, theirs = (found.get((JUDGED_RATE_A_S, name)) for name in (way, peer))
        if ours and theirs:
            of = p50s_ms if part == "p50" else p99s_ms
            what = f"{way} at {JUDGED_RATE_A_S:,} records/s: {part} to {peer}"
            judged.append((Target(what, bound, is_most=True), ratios(of(ours), of(theirs))))
    return judged


def by_rate(figures: Sequence[Figure]) -> dict[tuple[int, str], list[Latency]]:
    """Return the rounds of each way at each rate, rate by rate."""
    found: dict[tuple[int, str], list[Latency]] = {}
    for figure in sorted(figures, key=lambda each: (each.rate_a_s, WAYS.index(each.way))):
        found.setdefault((figure.rate_a_s, figure.way), []).append(figure.latency)
    return found


def p50s_ms(found: Sequence[Latency]) -> list[float]:
    """Return the median age of each round."""
    return [each.p50_ms for each in found]


def p99s_ms(found: Sequence[Latency]) -> list[float]:
    """Return the 99th percentile of each round."""
    return [each.p99_ms for each in found]


def drawn(figures: Sequence[Figure]) -> dict[str, Any]:
    """Return the figures as they are drawn and kept."""
    bars = [
        {"title": way, "is_ours": way in STREAMS_OF, **asdict(spread(p50s_ms(found)))}
        for (rate, way), found in by_rate(figures).items()
        if rate == JUDGED_RATE_A_S
    ]
    return {
        "title": f"a tick's way at {JUDGED_RATE_A_S:,} records/s",
        "axis": "ms, median (of the rounds)",
        "machine": machine(),
        "bars": bars,
        "rounds": [asdict(figure) for figure in figures],
    }


if __name__ == "__main__":
    main()
