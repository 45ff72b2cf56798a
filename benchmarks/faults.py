"""The trading graph under ten seeds of faults; writes docs/faults.md."""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.page import machine, with_section

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "faults.md"
SECTION = "results"
REPORT = "faults.json"


def main() -> int:
    """Run the seeds, write what they came to, and return the prover's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duration", type=int, default=240)
    parser.add_argument("--faults", type=int, default=22)
    chosen = parser.parse_args()
    home = Path(os.environ.get("HEADRACE_HOME", ROOT / ".headrace")).absolute()
    home.mkdir(parents=True, exist_ok=True)
    report = home / REPORT
    report.unlink(missing_ok=True)
    options = [
        f"--{name}={getattr(chosen, name)}" for name in ("seed", "seeds", "duration", "faults")
    ]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "headrace",
            "faults",
            "trading",
            *options,
            f"--report={report}",
        ],
        check=False,
        cwd=ROOT,
        env={**os.environ, "HEADRACE_HOME": str(home)},
    )
    if report.exists():
        found = json.loads(report.read_text())
        PAGE.write_text(with_section(PAGE.read_text(), SECTION, results(found, options)))
        print(f"written to {PAGE}")
    return done.returncode


def results(report: dict[str, Any], options: list[str]) -> list[str]:
    """Return the figures as lines of the page."""
    seeds = report["seeds"]
    minutes = sum(seed["whole_s"] for seed in seeds) / 60
    return [
        f"`headrace faults trading {' '.join(options)}`, on {machine()}:",
        f"**{report['faults']} faults, {report['violations']} violations** in {minutes:.0f} min.",
        "",
        "| check | " + " | ".join(f"seed {seed['seed']}" for seed in seeds) + " |",
        "|---|" + "---|" * len(seeds),
        *(
            f"| {name} | " + " | ".join(count(seed, name) for seed in seeds) + " |"
            for name in dict.fromkeys(name for seed in seeds for name in seed["findings"])
        ),
        f"| *faults* | {' | '.join(str(happened(seed)) for seed in seeds)} |",
        f"| *records compared and checked* | {' | '.join(f'{records(s):,}' for s in seeds)} |",
        f"| *workers died by themselves* | {' | '.join(str(len(s['deaths'])) for s in seeds)} |",
        f"| *copies sent again* | {' | '.join(str(sum(s['repeated'].values())) for s in seeds)} |",
        f"| *seconds* | {' | '.join(str(round(seed['whole_s'])) for seed in seeds)} |",
        "",
        "| fault | happened | recovery p50 s | max s | most offsets behind |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {f['count']} | {seconds(f['recovery_s_p50'])} | "
            f"{seconds(f['recovery_s_max'])} | {f['lag_max']:,} |"
            for name, f in report["recovery"].items()
        ),
        "",
        *violations(seeds),
    ]


def count(seed: dict[str, Any], name: str) -> str:
    """Return a cell of the table; a run that was given up was not looked at."""
    finding = seed["findings"].get(name)
    return "-" if finding is None else str(finding["count"])


def happened(seed: dict[str, Any]) -> int:
    """Return how many faults of a seed found something to strike."""
    return Counter(struck["was_applied"] for struck in seed["struck"])[True]


def records(seed: dict[str, Any]) -> int:
    """Return how many records of a seed were checked."""
    return sum(seed["records"].values())


def violations(seeds: list[dict[str, Any]]) -> list[str]:
    """Return examples of what was violated, a line each."""
    return [
        f"- seed {seed['seed']}, {name}: {words}"
        for seed in seeds
        for name, finding in seed["findings"].items()
        for words in finding["examples"]
    ]


def seconds(value: float | None) -> str:
    """Return a time for the table."""
    return "-" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
