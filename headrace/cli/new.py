"""`headrace new`: a project that runs at once, or a part of one."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from headrace.cli.options import HERE, ProjectFolder
from headrace.creation import PARTS, new_part, new_project
from headrace.errors import UsageError
from headrace.project import Project

app = typer.Typer(add_completion=False)

RECORD_S_MAX = 60.0


@app.command("new")
def new(
    what: Annotated[
        list[str],
        typer.Argument(
            help=f"NAME makes a project in a new folder; {'|'.join(PARTS)} NAME adds a part."
        ),
    ],
    project: ProjectFolder = HERE,
) -> None:
    """Make a project that runs and tests green at once, or add a part to one."""
    console = Console(soft_wrap=True, highlight=False)
    match what:
        case [name]:
            folder = new_project(Path(), name)
            _record(folder)
            console.print(f"made {folder}/; next: cd {folder} && headrace up {name} --until-end")
        case [kind, name]:
            chosen = Project(Path(project))
            written = new_part(chosen.folder, kind, name)
            _record(chosen.folder)
            for path in written:
                console.print(f"wrote {path.relative_to(chosen.folder)}")
        case _:
            raise UsageError(f"new {' '.join(what)}: expected NAME, or {'|'.join(PARTS)} and NAME")


def _record(folder: Path) -> None:
    """Record the new schemas, in a process of its own: the project's packages are its alone."""
    command = [sys.executable, "-m", "headrace", "check", "--record", f"--project={folder}"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=RECORD_S_MAX, check=False
    )
    if done.returncode:
        raise UsageError(f"{folder}: `headrace check` finds what is to be mended:\n{done.stdout}")
