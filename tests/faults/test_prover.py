"""The prover for real: a short storm with a few of the dangerous faults, end to end."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.repository_files import ROOT

RUN_S_MAX = 1_200

BROKEN = {"transaction": "worker killed", "fencing": "zombie", "tracker": "worker killed"}
"""What is broken on purpose, and the fault that must bring it to light."""

LATE = frozenset({"not settled", "not drained", "not finished"})
"""Columns that may just as well tell of a slow machine."""


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's temporary folder: it is closed to PostgreSQL's account when tests run as root.
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        yield Path(folder)


def prove(home: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the prover; return its exit code and its report."""
    report = home / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "faults", "trading", *options, f"--report={report}"],
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


def left_behind(home: Path) -> list[str]:
    """Return the processes of a run that are still there."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        environment = process.info["environ"] or {}
        command = process.info["cmdline"] or []
        if str(home) in environment.get("HEADRACE_HOME", "") or str(home) in " ".join(command):
            found.append(" ".join(command))
    return found


@pytest.mark.timeout(RUN_S_MAX + 60)
def test_the_dangerous_faults_lose_double_and_break_nothing(home: Path) -> None:
    kinds = ("worker killed", "zombie", "broker killed", "database away", "replies repeated")

    code, report = prove(
        home, "--seed=1", "--duration=30", "--faults=4", *(f"--kind={kind}" for kind in kinds)
    )

    (seed,) = report["seeds"]
    assert {name: f["examples"] for name, f in seed["findings"].items() if f["count"]} == {}
    assert code == 0
    assert report["faults"] >= 3
    assert seed["records"]["order.request.v1"] > 0
    assert left_behind(home) == []


@pytest.mark.slow
@pytest.mark.timeout(RUN_S_MAX + 60)
@pytest.mark.parametrize("sabotage", BROKEN)
def test_a_broken_build_is_caught(sabotage: str, home: Path) -> None:
    code, report = prove(
        home,
        *("--seed=1", "--duration=90", "--faults=8"),
        *(f"--sabotage={sabotage}", f"--kind={BROKEN[sabotage]}"),
    )

    (seed,) = report["seeds"]
    broken = {name for name, found in seed["findings"].items() if found["count"]}
    assert broken - LATE, f"nothing was noticed but {sorted(broken)}"
    assert code == 1
