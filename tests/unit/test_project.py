"""A project named on the command line is the one that is used."""

import subprocess
import sys

from tests.repository_files import ROOT

SAMPLE = ROOT / "tests" / "projects" / "vwap"


def test_the_named_project_wins_over_one_in_the_current_folder() -> None:
    program = (
        "import sys; from pathlib import Path; from headrace.project import Project;"
        f"sys.path.append({str(ROOT)!r});"
        f"print(Project(Path({str(ROOT)!r})).topology('trading').name)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=SAMPLE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stdout.strip() == "trading", done.stderr
