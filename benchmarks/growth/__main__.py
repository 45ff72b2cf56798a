"""How the running VWAP and a restore grow: with keys, partitions, workers and state. Ours only.

Writes the section "growth" of docs/benchmarks.md.
"""

import argparse
import shutil
from pathlib import Path

import psutil

from benchmarks.growth.restore import Restore, restore
from benchmarks.growth.vwap import Grown, Shape, Vwap
from benchmarks.page import machine, with_section
from benchmarks.spread import Spread, Target, spread, verdict_lines
from benchmarks.written import PAGE, ROOT, say
from headrace.servers import Servers
from headrace.settings import Settings

SECTION = "growth"
FEW = Shape(keys=100)
KEYS = (FEW, Shape(keys=10_000), Shape(keys=100_000), Shape(keys=1_000_000))
PARTITIONS = (Shape(partitions=64), Shape(partitions=256))
WORKERS = (Shape(), Shape(workers=2), Shape(workers=4))
STATES_MB = (10.0, 100.0, 1_000.0)

JUDGED_KEYS = 100_000
KEYS_RATIO_MAX = 1.25
WORKERS_RATIO_MIN = 3.0


def main() -> None:
    """Measure every shape once, print and write."""
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
        grown = []
        for shape in (*KEYS, *PARTITIONS, *WORKERS):
            grown.append(bench.run(shape))
            say(f"{shape}: {grown[-1].rates.cpu_us:.2f} µs CPU an event")
    restores = [restore(state_mb, home) for state_mb in chosen.state_mb or STATES_MB]
    lines = section(grown, restores, chosen.records)
    print("\n".join(lines))
    if not chosen.dry:
        PAGE.write_text(with_section(PAGE.read_text(), SECTION, lines))
    shutil.rmtree(home, ignore_errors=True)


def section(grown: list[Grown], restores: list[Restore], records: int) -> list[str]:
    """Return the part of the page."""
    return [
        f"`make bench-growth` on {machine()}: {records:,} trades, keys drawn evenly, exactly once,",
        "a commit every 100 ms; each run fresh, its output checked; memory of all workers.",
        "",
        "| keys | partitions | workers | events/s | range | CPU µs an event | memory MiB |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {each.shape.keys:,} | {each.shape.partitions} | {each.shape.workers} "
            f"| {spread(each.rates.windows).text(0)} | {each.rates.cpu_us:.2f} "
            f"| {each.rates.memory_mb:,.0f} |"
            for each in grown
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


def verdicts(grown: list[Grown]) -> list[tuple[Target, Spread]]:
    """Return what is judged: the cost of many keys, the gain of many workers."""
    by_shape = {each.shape: each.rates for each in grown}
    few, many = by_shape[FEW], by_shape[Shape(keys=JUDGED_KEYS)]
    alone, four = by_shape[Shape()], by_shape[Shape(workers=4)]
    return [
        (
            Target(f"CPU an event, {JUDGED_KEYS:,} keys to 100", KEYS_RATIO_MAX, is_most=True),
            spread([many.cpu_us / few.cpu_us]),
        ),
        (
            Target(
                f"events/s, 4 workers to 1 (on {psutil.cpu_count()} cores)",
                WORKERS_RATIO_MIN,
                is_most=False,
            ),
            spread([spread(four.windows).median / spread(alone.windows).median]),
        ),
    ]


if __name__ == "__main__":
    main()
