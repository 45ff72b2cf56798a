"""The trading graph under ten seeds of faults; writes docs/faults.md."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.page import machine, with_section
from headrace.faults.prove import SeedReport
from headrace.faults.report import as_json

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "faults.md"
SECTION = "results"
REPORT = "faults.json"


def main() -> int:
    """Run the seeds, write what they came to, and return the worst of the provers' exit codes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duration", type=int, default=240)
    parser.add_argument("--faults", type=int, default=22)
    parser.add_argument("--together", type=int, default=2, help="storms at a time")
    chosen = parser.parse_args()
    home = Path(os.environ.get("HEADRACE_HOME", ROOT / ".headrace")).absolute()
    began_s = time.monotonic()
    provers = [
        Prover(home / f"storm-{part[0]}", part, chosen.duration, chosen.faults)
        for part in parts(chosen.seed, chosen.seeds, chosen.together)
    ]
    codes = [prover.wait() for prover in provers]
    minutes = (time.monotonic() - began_s) / 60
    found = as_json([report for prover in provers for report in prover.reports()])
    how = f"--seed={chosen.seed} --seeds={chosen.seeds} --duration={chosen.duration}"
    how = f"{how} --faults={chosen.faults}"
    text = with_section(PAGE.read_text(), SECTION, results(found, how, chosen.together, minutes))
    PAGE.write_text(text)
    print(f"written to {PAGE}")
    return max(codes)


def parts(first: int, count: int, together: int) -> list[range]:
    """Return these seeds in so many runs, as even as they go."""
    bounds = [first + count * number // together for number in range(together + 1)]
    return [range(*pair) for pair in pairwise(bounds) if pair[0] < pair[1]]


class Prover:
    """One `headrace faults` over some seeds, one after another, with servers of its own."""

    def __init__(self, home: Path, seeds: range, duration_s: int, faults: int) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._report = home / REPORT
        self._report.unlink(missing_ok=True)
        self._log = home / "output.log"
        options = [f"--seed={seeds[0]}", f"--seeds={len(seeds)}"]
        options += [f"--duration={duration_s}", f"--faults={faults}", f"--report={self._report}"]
        with self._log.open("w") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "headrace", "faults", "trading", *options],
                cwd=ROOT,
                env={**os.environ, "HEADRACE_HOME": str(home)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> int:
        """Return its exit code, once it has ended; print what it said."""
        code = self._child.wait()
        print(self._log.read_text())
        return code

    def reports(self) -> list[SeedReport]:
        """Return what it found; nothing if it could not begin."""
        if not self._report.exists():
            return []
        return msgspec.convert(json.loads(self._report.read_text())["seeds"], list[SeedReport])


def results(report: dict[str, Any], how: str, together: int, minutes: float) -> list[str]:
    """Return the figures as lines of the page."""
    seeds = report["seeds"]
    return [
        f"`headrace faults trading {how}`, {together} storms at a time, on {machine()}:",
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
