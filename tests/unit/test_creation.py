"""What `headrace new` lays down is sound, and takes its name everywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.checks import check_project
from headrace.checks.project import record_schemas
from headrace.creation import PARTS, new_part, new_project
from headrace.errors import UsageError
from headrace.project import Project
from tests.repository_files import ROOT
from tests.sample_project import as_only_project

RUN_S_MAX = 240


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = new_project(tmp_path, "prices")
    for kind in PARTS:
        new_part(folder, kind, f"new_{kind}")
    return folder


def test_a_new_project_and_its_parts_are_sound(project: Path) -> None:
    with as_only_project():
        recorded = record_schemas(Project(project))
        found = check_project(Project(project))
        names = Project(project).names()

    assert names == ["new_topology", "prices"]
    assert len(recorded) == 4
    assert found == []


def test_nothing_is_left_of_the_starters_name(project: Path) -> None:
    texts = {path: path.read_text() for path in project.rglob("*") if path.is_file()}

    assert [path for path, text in texts.items() if "starter" in text.lower()] == []
    assert [path for path in texts if "starter" in str(path.relative_to(project))] == []


def test_its_tests_are_green(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("name", ["", "Prices", "2fast", "my-prices", "a__b", "x" * 41, "../up"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected up to 40 of a-z"):
        new_project(tmp_path, name)


def test_what_is_there_is_not_written_over(project: Path) -> None:
    mine = project / "agents" / "mine.py"
    mine.write_text("kept")

    with pytest.raises(UsageError, match="prices: expected no such folder yet"):
        new_project(project.parent, "prices")
    with pytest.raises(UsageError, match=r"agents/mine\.py: expected no such file yet"):
        new_part(project, "topology", "mine")

    assert mine.read_text() == "kept"
    assert not (project / "topologies" / "mine.py").exists()


def test_a_kind_that_is_none_is_refused(project: Path) -> None:
    with pytest.raises(UsageError, match="expected one of agent, schema, topology"):
        new_part(project, "sink", "mine")
