"""The prover for real: a short storm, one that is interrupted, and builds that are broken."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.repository_files import ROOT

pytestmark = pytest.mark.long

RUN_S_MAX = 1_200

SAMPLE = ROOT / "tests" / "projects" / "counting"

BROKEN = {
    "transaction": ("counting", "worker killed"),
    "fencing": ("counting", "zombie"),
    "tracker": ("trading", "worker killed"),
}
"""What is broken on purpose, and where which fault must bring it to light."""

LATE = frozenset({"not settled", "not drained", "not finished"})
"""Columns that may just as well tell of a slow machine."""


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's temporary folder: it is closed to PostgreSQL's account when tests run as root.
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        yield Path(folder)


def prove(home: Path, topology: str, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the prover; return its exit code and its report."""
    report = home / "report.json"
    project = SAMPLE if topology == "counting" else ROOT
    where = (f"--project={project}", f"--report={report}")
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "faults", topology, *where, *options],
        env={**os.environ, "HEADRACE_HOME": str(home), "COLUMNS": "160"},
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert report.exists(), done.stdout[-3_000:]
    found: dict[str, Any] = json.loads(report.read_text())
    return done.returncode, found


def violated(report: dict[str, Any]) -> dict[str, list[str]]:
    """Return the columns that are not zero, with their examples."""
    (seed,) = report["seeds"]
    return {name: f["examples"] for name, f in seed["findings"].items() if f["count"]}


def left_behind(home: Path) -> list[str]:
    """Return the processes of a run that are still there."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        environment = process.info["environ"] or {}
        command = process.info["cmdline"] or []
        if str(home) in environment.get("HEADRACE_HOME", "") or str(home) in " ".join(command):
            found.append(" ".join(command))
    return found


@pytest.mark.slow  # a minute and a half; `make faults-short`
@pytest.mark.timeout(RUN_S_MAX + 60)
def test_a_short_storm_loses_doubles_and_breaks_nothing_and_leaves_nothing_running(
    home: Path,
) -> None:
    kinds = ("worker killed", "zombie", "broker killed", "feed killed", "input repeated")

    code, report = prove(
        home,
        "counting",
        *("--seed=1", "--duration=30", "--faults=5"),
        *(f"--kind={kind}" for kind in kinds),
    )

    assert violated(report) == {}
    assert code == 0
    assert report["faults"] >= 3
    assert report["seeds"][0]["records"]["sample.count.v1"] == 12_000
    assert left_behind(home) == []


@pytest.mark.timeout(RUN_S_MAX + 60)
def test_a_storm_that_is_interrupted_leaves_nothing_running(home: Path) -> None:
    command = [sys.executable, "-m", "headrace", "faults", "counting", f"--project={SAMPLE}"]
    log = home / "faults" / "seed-1" / "logs" / "count-2.log"
    with subprocess.Popen(
        [*command, "--faults=1", "--kind=zombie"],
        env={**os.environ, "HEADRACE_HOME": str(home)},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        deadline = time.monotonic() + RUN_S_MAX
        while not log.exists():
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        running.wait(RUN_S_MAX)

    assert left_behind(home) == []


@pytest.mark.slow
@pytest.mark.timeout(RUN_S_MAX + 60)
@pytest.mark.parametrize("sabotage", BROKEN)
def test_a_broken_build_is_caught(sabotage: str, home: Path) -> None:
    topology, kind = BROKEN[sabotage]

    code, report = prove(
        home,
        topology,
        *("--seed=1", "--duration=60", "--faults=8"),
        *(f"--sabotage={sabotage}", f"--kind={kind}"),
    )

    broken = violated(report)
    assert "not settled" not in broken, f"what does nothing does nothing wrong: {broken}"
    assert broken.keys() - LATE, f"nothing was noticed but {broken}"
    assert code == 1
