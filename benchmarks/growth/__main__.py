"""How the running VWAP and a restore grow: with keys, partitions, workers and state. Ours only.

Writes the section "growth" of docs/benchmarks.md.
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import psutil

from benchmarks.growth.restore import Restore, restore
from benchmarks.growth.vwap import Shape, Vwap
from benchmarks.page import machine, with_section
from benchmarks.progress import Rates
from benchmarks.spread import Spread, Target, ratios, spread, verdict_lines
from benchmarks.written import PAGE, ROOT, say
from headrace.servers import Servers
from headrace.settings import Settings

SECTION = "growth"
FEW = Shape(keys=100)
MANY = Shape(keys=100_000)
KEYS = (FEW, MANY, Shape(keys=1_000_000))
PARTITIONS = (Shape(partitions=256),)
WORKERS = (Shape(), Shape(workers=2), Shape(workers=4))
STATES_MB = (10.0, 1_000.0)

JUDGED_AGAIN = 1
"""Rounds of the two whose cost is judged, beside the first: one of them alone is worth little."""

RUNS = (*KEYS, *PARTITIONS, *WORKERS, *(FEW, MANY) * JUDGED_AGAIN)

KEYS_RATIO_MAX = 1.25
WORKERS_RATIO_MIN = 3.0

Grown: TypeAlias = Mapping[Shape, Sequence[Rates]]
"""What each run of each shape came to."""


def main() -> None:
    """Measure every shape, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=3_000_000)
    parser.add_argument("--state-mb", type=float, action="append")
    parser.add_argument("--home", type=Path, default=ROOT / ".headrace" / "growth")
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    chosen = parser.parse_args()
    home = chosen.home.absolute()
    shutil.rmtree(home, ignore_errors=True)
    with Servers(Settings.load(home=home, kafka=None), only=frozenset({"kafka"})) as servers:
        bench = Vwap(servers, home, chosen.records)
        grown: dict[Shape, list[Rates]] = {}
        for shape in RUNS:
            rates = bench.run(shape)
            grown.setdefault(shape, []).append(rates)
            say(f"{shape}: {rates.cpu_us:.2f} µs CPU an event")
    restores = [restore(state_mb, home) for state_mb in chosen.state_mb or STATES_MB]
    lines = section(grown, restores, chosen.records)
    print("\n".join(lines))
    if not chosen.dry:
        PAGE.write_text(with_section(PAGE.read_text(), SECTION, lines))
    shutil.rmtree(home, ignore_errors=True)


def section(grown: Grown, restores: list[Restore], records: int) -> list[str]:
    """Return the part of the page."""
    return [
        f"`make bench-growth` on {machine()}: {records:,} trades, keys drawn evenly, exactly once,",
        "a commit every 100 ms; each run fresh, its output checked; memory of all workers. The two",
        f"whose cost is judged ran in {1 + JUDGED_AGAIN} rounds.",
        "",
        "| keys | partitions | workers | events/s | range | CPU µs an event | range | memory MiB |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {shape.keys:,} | {shape.partitions} | {shape.workers} "
            f"| {spread(windows_of(runs)).text(0)} | {spread(cpu_us_of(runs)).text()} "
            f"| {max(rates.memory_mb for rates in runs):,.0f} |"
            for shape, runs in grown.items()
        ),
        "",
        "A worker started on an empty disk, its state in the changelog (4 KiB a key):",
        "",
        "| state MB | keys | restored after s | changelog records read | memory MiB |",
        "|---|---|---|---|---|",
        *(
            f"| {each.state_mb:,.0f} | {each.keys:,} | {each.restored_s:.1f} "
            f"| {each.records_read:,} | {each.memory_mb:,.0f} |"
            for each in restores
        ),
        "",
        *verdict_lines(verdicts(grown)),
    ]


def verdicts(grown: Grown) -> list[tuple[Target, Spread]]:
    """Return what is judged: the cost of many keys, the gain of many workers."""
    alone, four = (spread(windows_of(grown[shape])).median for shape in (Shape(), Shape(workers=4)))
    return [
        (
            Target(f"CPU an event, {MANY.keys:,} keys to {FEW.keys}", KEYS_RATIO_MAX, is_most=True),
            ratios(cpu_us_of(grown[MANY]), cpu_us_of(grown[FEW])),
        ),
        (
            Target(
                f"events/s, 4 workers to 1 (on {psutil.cpu_count()} cores)",
                WORKERS_RATIO_MIN,
                is_most=False,
            ),
            spread([four / alone]),
        ),
    ]


def cpu_us_of(runs: Sequence[Rates]) -> list[float]:
    """Return the CPU an event of each run."""
    return [rates.cpu_us for rates in runs]


def windows_of(runs: Sequence[Rates]) -> list[float]:
    """Return the rates of all windows of these runs."""
    return [rate for rates in runs for rate in rates.windows]


if __name__ == "__main__":
    main()
