"""`headrace check`: what is wrong with a project, before it is deployed."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from headrace.checks.finding import Finding
from headrace.checks.project import check_project, record_schemas
from headrace.cli.options import HERE, AsJson, ProjectFolder
from headrace.project import Project

app = typer.Typer(add_completion=False)


@app.command("check")
def check(
    topologies: Annotated[
        list[str] | None, typer.Argument(help="Topologies to check; all if none is named.")
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record", help="Record schemas that are new or changed compatibly first."),
    ] = False,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Check topologies, schemas, agents and models before they run; exit code 1 for a finding."""
    chosen = Project(Path(project))
    recorded = record_schemas(chosen) if record else []
    findings = check_project(chosen, topologies or ())
    if as_json:
        told = {
            "findings": [asdict(finding) for finding in findings],
            "recorded": [str(path.relative_to(chosen.folder)) for path in recorded],
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        _tell(chosen, topologies or chosen.names(), recorded, findings)
    if findings:
        raise typer.Exit(1)


def _tell(
    project: Project, names: list[str], recorded: list[Path], findings: list[Finding]
) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for path in recorded:
        console.print(f"recorded {path.relative_to(project.folder)}")
    for finding in findings:
        console.print(finding.text(), markup=False)
    console.print(f"{len(names)} topologies checked ({', '.join(names)}), {len(findings)} findings")
