"""`headrace graph`: a topology drawn."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.options import HERE, ProjectFolder, TopologyName
from headrace.drawing import as_json, as_mermaid, as_svg
from headrace.project import Project


class Format(StrEnum):
    """How a graph is drawn."""

    mermaid = "mermaid"
    svg = "svg"
    json = "json"


DRAW = {Format.mermaid: as_mermaid, Format.svg: as_svg, Format.json: as_json}

app = typer.Typer(add_completion=False)


@app.command("graph")
def graph(
    topology: TopologyName,
    form: Annotated[Format, typer.Option("--format", help="How to draw it.")] = Format.mermaid,
    project: ProjectFolder = HERE,
) -> None:
    """Draw a topology: steps, the topics between them, their state and sinks."""
    sys.stdout.write(DRAW[form](Project(Path(project)).topology(topology)) + "\n")
