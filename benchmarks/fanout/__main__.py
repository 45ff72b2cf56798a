"""From a write to a subscriber through Redis at 10,000 messages a second, beside a bare socket.

Writes its part of docs/benchmarks.md, the figures as JSON and a picture of them.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.fanout.messages import TICK_RECORDS, TICK_S, ticks
from benchmarks.fanout.run import WARM_TICKS, WAYS, Run, run_way
from benchmarks.page import machine
from benchmarks.spread import Spread, Target, in_turn, ratios, spread, verdict_lines
from benchmarks.written import say, write
from headrace.servers import Servers
from headrace.settings import Settings

SECTION = "fanout"
TITLES = {
    "socket": "bare socket: a group's bytes to another process and back",
    "headrace-plain": "**headrace**: `RedisSink.write` to a socket that is only read",
    "pipeline-plain": "redis-py's pipeline to the same, messages made before",
    "headrace-redis-py": "**headrace**: `RedisSink.write` to redis-py's subscriber",
    "pipeline-redis-py": "redis-py's pipeline to redis-py's subscriber",
}
P50 = Target("fan-out: headrace's p50 to the bare socket's", 4, is_most=True)
P99 = Target("fan-out: headrace's p99 to the bare socket's", 2, is_most=True)


def main() -> int:
    """Run all rounds, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    chosen = parser.parse_args()
    parts = ticks(WARM_TICKS + round(chosen.seconds / TICK_S))
    runs = []
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as home:
        settings = Settings.load(home=Path(home), redis=None)
        with Servers(settings, only=frozenset({"redis"})) as servers:
            for number in range(chosen.rounds):
                for way in in_turn(list(WAYS), number):
                    run = run_way(servers.endpoints.redis, way, f"run{number}-{way}", parts)
                    say(f"{way}: p50 {run.p50_us:,.0f} µs, p99 {run.p99_us:,.0f} µs")
                    runs.append(run)
    lines = section(runs, chosen.rounds)
    print("\n".join(lines))
    if not chosen.dry:
        write(SECTION, lines, figures(runs))
    return 0


def by_way(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return each way's runs, round by round."""
    return {way: [run for run in runs if run.way == way] for way in WAYS}


def section(runs: Sequence[Run], count: int) -> list[str]:
    """Return the part of the page."""
    lines = [
        (
            f"`make bench-fanout` on {machine()}; medians of {count} rounds, ways in turn. "
            f"{TICK_RECORDS} quotes every {1_000 * TICK_S:g} ms, as JSON of about 330 bytes; from "
            "the start of the write to the subscriber, a process of its own. Our write makes the "
            "JSON, keeps the latest value of each key and moves the position as well."
        ),
        "",
        "| way | p50 µs | range | p99 µs | range | µs behind the clock |",
        "|---|---|---|---|---|---|",
    ]
    found = by_way(runs)
    for way, mine in found.items():
        p50 = spread([run.p50_us for run in mine]).text(0)
        p99 = spread([run.p99_us for run in mine]).text(0)
        late = spread([run.late_us for run in mine]).median
        lines.append(f"| {TITLES[way]} | {p50} | {p99} | {late:,.0f} |")
    verdicts = [
        (P50, ratio(found, "headrace-plain", "socket", "p50_us")),
        (P99, ratio(found, "headrace-plain", "socket", "p99_us")),
    ]
    redis = ratio(found, "pipeline-plain", "socket", "p50_us")
    ours = ratio(found, "headrace-plain", "pipeline-plain", "p50_us")
    return [
        *lines,
        "",
        *verdict_lines(verdicts),
        "",
        (
            f"Redis by itself, its messages ready: {redis.median:.1f} times the socket's p50 "
            f"({redis.least:.1f} to {redis.most:.1f}); ours is {ours.median:.1f} times that "
            f"({ours.least:.1f} to {ours.most:.1f})."
        ),
        "",
        "![µs to a subscriber](benchmarks/fanout.png)",
    ]


def ratio(found: dict[str, list[Run]], ours: str, other: str, field: str) -> Spread:
    """Return a figure of ours over another's, round by round."""
    mine, theirs = ([getattr(run, field) for run in found[way]] for way in (ours, other))
    return ratios(mine, theirs)


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the figures as they are drawn and kept."""
    return {
        "title": "to a subscriber through Redis, at 10,000 messages a second",
        "axis": "µs, p50 (median of the rounds)",
        "machine": machine(),
        "bars": [
            {
                "title": TITLES[way],
                "is_ours": way.startswith("headrace"),
                **asdict(spread([run.p50_us for run in mine])),
            }
            for way, mine in by_way(runs).items()
        ],
        "runs": [asdict(run) for run in runs],
    }


if __name__ == "__main__":
    sys.exit(main())
