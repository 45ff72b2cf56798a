"""The jobs, by us and by our peers in turn, on one Kafka with one input.

Writes its part of docs/benchmarks.md, the figures as JSON and pictures of them.

Exit code 1 if one of ours was wrong; with --against-record also if a ratio to a peer has fallen by
half since the record, or none could be compared.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.page import machine
from benchmarks.throughput.catalog import (
    JOBS,
    PEERS_ALL,
    ROOT,
    ROUNDS,
    Input,
    Job,
    Peer,
    Setting,
)
from benchmarks.throughput.cluster import PARTITIONS, TRADE_SCHEMA, Cluster
from benchmarks.throughput.falls import compared, recorded_rates
from benchmarks.throughput.java import class_path
from benchmarks.throughput.report import Summary, is_other, summaries, table, verdicts
from benchmarks.throughput.run import Run, run_peer
from benchmarks.throughput.trades import SIZE_LOTS_MIN, SYMBOLS, Expected, Trades, draw
from benchmarks.written import FOLDER, say, write
from headrace.errors import TransientError
from headrace.servers import Servers
from headrace.settings import Settings

SECTION = "throughput"


def main() -> int:
    """Run all rounds, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--job", choices=[job.name for job in JOBS], action="append")
    parser.add_argument("--peer", choices=[peer.name for peer in PEERS_ALL], action="append")
    parser.add_argument("--home", type=Path, default=ROOT / ".headrace" / "throughput")
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    parser.add_argument("--against-record", action="store_true", help="hold ratios against it")
    chosen = parser.parse_args()
    jobs = [job for job in JOBS if job.name in (chosen.job or [job.name])]
    peers = [peer for peer in PEERS_ALL if peer.name in (chosen.peer or [peer.name])]
    home = chosen.home.absolute()
    shutil.rmtree(home, ignore_errors=True)
    settings = Settings.load(home=home, kafka=None)
    with Servers(settings, only=frozenset({"kafka"})) as servers:
        (kafka,) = servers.states()
        if kafka.pid is None:
            raise TransientError("the embedded Kafka has no process")
        cluster = Cluster(servers.endpoints.kafka, kafka.pid)
        is_java = any(peer.name.startswith("streams") for peer in peers)
        java = class_path(settings.cache / "bench", home / "classes") if is_java else ""
        bench = Bench(cluster, draw(chosen.records), home, java)
        runs = bench.rounds(jobs, peers, chosen.rounds)
    lines = section(jobs, peers, runs)
    print("\n".join(lines))
    home.joinpath("runs.json").write_text(json.dumps([asdict(run) for run in runs]))
    if not chosen.dry:
        write(SECTION, lines, figures(jobs, peers, runs))
    is_wrong = any(run.fault for run in runs if not is_other(run.peer))
    return int(is_wrong or (chosen.against_record and has_fallen(runs)))


def has_fallen(runs: Sequence[Run]) -> bool:
    """Say how the ratios to peers stand to those of the record, and whether one is half of it."""
    found = compared(summaries(runs), recorded_rates(FOLDER / f"{SECTION}.json"))
    for ratio in found:
        say(ratio.text)
    return not found or any(ratio.has_fallen for ratio in found)


class Bench:
    """The input of all runs, and what runs there have been."""

    def __init__(self, cluster: Cluster, trades: Trades, home: Path, java: str) -> None:
        self._cluster = cluster
        self._trades = trades
        self._home = home
        self._java = java
        self._inputs: dict[tuple[str, int], tuple[str, int]] = {}
        self._expectations: dict[tuple[str, int], Expected] = {}
        self._count = 0

    def rounds(self, jobs: Sequence[Job], peers: Sequence[Peer], count: int) -> list[Run]:
        """Return the runs of so many rounds, in each of which a peer does a job at most once."""
        return [
            self._run(peer, job)
            for number in range(count)
            for job in jobs
            for peer in peers
            if job.name in peer.jobs and number < min(job.rounds_max, peer.rounds_max)
        ]

    def _run(self, peer: Peer, job: Job) -> Run:
        bounds = (len(self._trades), peer.records_max, job.records_max)
        records = min(bound for bound in bounds if bound is not None)
        topic, schema_id = self._input(job.input, records)
        self._count += 1
        group = f"run{self._count}-{peer.name}"
        output = f"{group}.output"
        setting = Setting(
            kafka=self._cluster.bootstrap,
            job=job.name,
            input=topic,
            output=output,
            group=group,
            state=self._home / group,
            input_schema_id=schema_id,
            output_schema_id=self._cluster.register(output, job.schema),
            size_lots_min=SIZE_LOTS_MIN,
            class_path=self._java,
        )
        run = run_peer(self._cluster, peer, job, setting, self._expected(job, records))
        say(f"{job.name}: {peer.name}: {words(run)}")
        return run

    def _expected(self, job: Job, records: int) -> Expected:
        """Return what is to come of the first so many trades; worked out once."""
        key = job.name, records
        if key not in self._expectations:
            self._expectations[key] = job.expected(job.input.arranged(self._trades.first(records)))
        return self._expectations[key]

    def _input(self, wanted: Input, records: int) -> tuple[str, int]:
        """Return the topic of the first so many trades and its schema's id; filled once."""
        key = wanted.name, records
        if key not in self._inputs:
            say(f"writing {records:,} trades ({wanted.name})")
            topic = f"bench.{wanted.name}-{records}.v1"
            schema_id = self._cluster.register(topic, TRADE_SCHEMA)
            self._cluster.fill(topic, wanted.arranged(self._trades.first(records)), schema_id)
            self._inputs[key] = topic, schema_id
        return self._inputs[key]


def section(jobs: Sequence[Job], peers: Sequence[Peer], runs: Sequence[Run]) -> list[str]:
    """Return the part of the page."""
    lines = [
        f"`make bench-throughput` on {machine()}; medians of rounds, peers in turn;",
        f"{SYMBOLS} symbols, {PARTITIONS} partitions; acks=all, idempotent producers, changelogs,",
        "checksums:",
        "",
    ]
    for job in jobs:
        picture = f"![{job.title}](benchmarks/throughput-{job.name}.png)"
        lines += [*table(job, peers, runs), "", picture, ""]
    return [*lines, *verdicts(summaries(runs))]


def figures(jobs: Sequence[Job], peers: Sequence[Peer], runs: Sequence[Run]) -> dict[str, Any]:
    """Return the figures as they are drawn and kept, by job."""
    found = summaries(runs)
    return {
        "machine": machine(),
        "pictures": {
            job.name: {
                "title": job.title,
                "axis": "events/s in one process (median; logarithmic)",
                "is_logarithmic": True,
                "bars": [
                    bar(peer, found[job.name, peer.name])
                    for peer in peers
                    if (job.name, peer.name) in found
                ],
            }
            for job in jobs
        },
    }


def bar(peer: Peer, found: Summary) -> dict[str, Any]:
    """Return a peer's bar, and the rest of its figures beside it."""
    drawn = {"median": found.rate, "least": found.rate_min, "most": found.rate_max}
    return {"title": peer.title, "is_ours": not is_other(peer.name), **drawn, **asdict(found)}


def words(run: Run) -> str:
    """Return a run in a line."""
    if run.figure is None:
        return f"no figure: {run.fault}"
    figure = run.figure
    return (
        f"{figure.rate:,.0f} events/s over {figure.seconds:.1f} s, {figure.cpu_us:.2f} µs CPU an "
        f"event, broker {figure.broker_cpu_us:.2f}; {run.fault or 'right'}"
    )


if __name__ == "__main__":
    sys.exit(main())
