"""The trading graph at full load for long: is memory flat, lag bounded, no handle leaked?

Runs `headrace up trading` on recorded frames, again and again, and ends it with SIGTERM. Writes
docs/soak.md and the samples as JSON. Exit code 1 if a bound is broken.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from benchmarks.page import machine, with_section
from benchmarks.soak_figures import Sample, Verdict, judge, tables
from benchmarks.soak_sampling import sample_tree
from headrace.cli.connect import read_endpoints
from headrace.errors import TransientError
from headrace.faults.run import lane_groups_of
from headrace.project import Project
from headrace.up.lag import LagWatch

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "soak.md"
SECTION = "soak"
PASSES = 4_000
"""As often as a capture may be repeated: the minutes are over long before."""

SAMPLE_S = 5.0
START_S_MAX = 300.0
STOP_S_MAX = 180.0
"""Feed and workers drain, then the servers end: each is bounded, together by less than this."""


@dataclass(frozen=True, slots=True)
class Soak:
    """A run's samples and how it ended; None if it had to be killed."""

    samples: list[Sample]
    exit_code: int | None


def main() -> int:
    """Run, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "binance")
    parser.add_argument("--home", type=Path, default=ROOT / ".headrace" / "soak")
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    chosen = parser.parse_args()
    home = chosen.home.absolute()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    soak = run(chosen.data, home, chosen.minutes)
    home.joinpath("soak.json").write_bytes(msgspec.json.encode(soak.samples))
    verdict = judge(soak.samples, soak.exit_code)
    lines = section(verdict, machine())
    print("\n".join(lines))
    if not chosen.dry:
        PAGE.write_text(with_section(PAGE.read_text(), SECTION, lines))
        print(f"written to {PAGE}")
    return 0 if verdict.is_held else 1


def section(verdict: Verdict, where: str) -> list[str]:
    """Return the verdict as the page has it."""
    return [f"`make soak` on {where}, {verdict.minutes:.0f} min:", "", *tables(verdict)]


def run(data: Path, home: Path, minutes: float) -> Soak:
    """Return the samples of a run of so many minutes, counted from the feed's start."""
    with (home / "output.log").open("w") as output:
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "headrace", "up", "trading", f"--feed=capture:{data}"),
                *(f"--repeat={PASSES}", "--speed=max"),
            ],
            cwd=ROOT,
            env={**os.environ, "HEADRACE_HOME": str(home)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    samples: list[Sample] = []
    try:
        follow(child, home, minutes, samples)
        child.send_signal(signal.SIGTERM)
        return Soak(samples, child.wait(STOP_S_MAX))
    except subprocess.TimeoutExpired:
        return Soak(samples, None)
    finally:
        end_tree(child)


def end_tree(child: "subprocess.Popen[bytes]") -> None:
    """Kill a run that did not end, and its workers, which would outlive it."""
    if child.poll() is not None:
        return
    processes = [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait(STOP_S_MAX)


def follow(
    child: "subprocess.Popen[bytes]", home: Path, minutes: float, samples: list[Sample]
) -> None:
    """Sample a run from the start of its feed until its minutes are over, or it ends by itself."""
    root = psutil.Process(child.pid)
    wait_for_feed(child, root, home)
    endpoints = read_endpoints(home)
    if endpoints is None:
        raise TransientError(f"{home}: the run has ended before it began; see its output.log")
    watch = LagWatch(endpoints.kafka, lane_groups_of(Project(ROOT).topology("trading")))
    began = time.monotonic()
    while child.poll() is None and (at_s := time.monotonic() - began) < 60 * minutes:
        samples.append(Sample(round(at_s, 2), sample_tree(root), watch.lags()))
        time.sleep(max(0.0, SAMPLE_S - (time.monotonic() - began - at_s)))


def wait_for_feed(child: "subprocess.Popen[bytes]", root: psutil.Process, home: Path) -> None:
    """Wait until the feed is among the processes.

    Raises:  TransientError if it is not in time.
    """
    deadline = time.monotonic() + START_S_MAX
    while "feed" not in sample_tree(root):
        if child.poll() is not None or time.monotonic() > deadline:
            raise TransientError(f"no feed within {START_S_MAX:.0f} s; see {home / 'output.log'}")
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
