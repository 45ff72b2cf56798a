"""The trading graph from typed topics: trades and quotes in, orders out, fused, in one process.

The topics are filled first, from recorded frames by ingest. Writes the section
"typed" of docs/benchmarks.md.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.page import machine, with_section
from benchmarks.progress import Look, Rates, follow, rates_of
from benchmarks.spread import Target, spread, verdict_lines
from benchmarks.written import PAGE, ROOT, say
from headrace.feed import FeedOptions
from headrace.project import Project
from headrace.runtime.assemble import Choice, ensure_topics, load_codecs, open_registry
from headrace.runtime.feed_writer import FeedWriter
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.up.lag import lane_groups
from headrace.up.processes import Process, free_port, stop_all
from headrace.up.run import process_environment

SECTION = "typed"
FILLED_BY = ("ingest",)
STEPS = ("features", "inference", "decision", "risk", "execution")
TARGET = Target("the graph from typed topics, fused, records/s", 200_000, is_most=False)


def main() -> None:
    """Fill the topics, run the graph over them once, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "binance")
    parser.add_argument("--repeat", type=int, default=8)
    parser.add_argument("--home", type=Path, default=ROOT / ".headrace" / "typed")
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    chosen = parser.parse_args()
    home = chosen.home.absolute()
    shutil.rmtree(home, ignore_errors=True)
    settings = Settings.load(home=home, kafka=None)
    with Servers(settings, only=frozenset({"kafka"})) as servers:
        bench = Bench(servers, settings)
        bench.fill(chosen.data, chosen.repeat)
        rates = bench.measure()
    lines = section(rates)
    print("\n".join(lines))
    if not chosen.dry:
        PAGE.write_text(with_section(PAGE.read_text(), SECTION, lines))
    shutil.rmtree(home, ignore_errors=True)


class Bench:
    """One Kafka and the trading project's processes on it, some at a time."""

    def __init__(self, servers: Servers, settings: Settings) -> None:
        self._kafka = servers.endpoints.kafka
        self._endpoints = servers.endpoints
        self._settings = settings
        self._project = Project(ROOT)
        self._topology = self._project.topology("trading")
        ensure_topics(self._topology, self._kafka)

    def fill(self, data: Path, repeat: int) -> None:
        """Write recorded frames, and have ingest make trades and quotes of them, whole."""
        source = self._topology.source
        feed = source.open(f"capture:{data}", FeedOptions(repeat=repeat))
        registry = open_registry(self._settings, self._kafka)
        codec = load_codecs(self._project, registry, [source.topic])[source.topic.name]
        progress = FeedWriter(feed, codec, self._kafka).run(lambda: False)
        say(f"{progress.frames:,} frames are written")
        self._through(FILLED_BY)

    def measure(self) -> Rates:
        """Run the steps over what is there until every lane is through."""
        return rates_of(self._through(STEPS))

    def _through(self, steps: Sequence[str]) -> list[Look]:
        """Run one worker of these steps until all its lanes are through; return its progress."""
        home = self._settings.home / steps[0]
        chosen = [f"--step={step}" for step in steps]
        worker = Process(
            f"worker-{steps[0]}",
            ["worker", "trading", f"--web-port={free_port()}", f"--project={ROOT}", *chosen],
            process_environment(home, self._endpoints),
            home.with_suffix(".log"),
        )
        worker.start()
        try:
            return follow([worker], self._kafka, lane_groups(self._topology, Choice(tuple(steps))))
        finally:
            stop_all([worker])


def section(rates: Rates) -> list[str]:
    """Return the part of the page."""
    windows = spread(rates.windows)
    figures = (
        *(f"{rates.records:,}", f"{rates.seconds:.1f}", windows.text(0)),
        *(f"{rates.cpu_us:.2f}", f"{rates.drained_s:.1f}"),
    )
    return [
        f"`make bench-typed` on {machine()}: one worker does {', '.join(STEPS)} over",
        "`market.trade.v1` and `market.quote.v1`, exactly once, committing every 100 ms, without a",
        f"venue: it is a process of its own. Rates are of each {rates.window_s:.0f} s, once warm.",
        "",
        "| records | seconds | records/s | range | CPU µs a record | last lane through after s |",
        "|---|---|---|---|---|---|",
        f"| {' | '.join(figures)} |",
        "",
        *verdict_lines([(TARGET, windows)]),
    ]


if __name__ == "__main__":
    main()
