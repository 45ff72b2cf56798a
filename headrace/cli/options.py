"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.topology import Topology

TopologyName = Annotated[str, typer.Argument(help="A topology of the project: topologies/NAME.py.")]
ProjectFolder = Annotated[Path, typer.Option("--project", help="The project's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]
FeedText = Annotated[
    str | None,
    typer.Option(
        "--feed",
        help="capture:PATH…, table:PATH…, live:VENUE:SYMBOLS or sim; the topology's own if absent.",
    ),
]
Symbols = Annotated[
    list[str] | None, typer.Option("--symbols", help="Only these symbols; may be repeated.")
]
Speed = Annotated[
    str, typer.Option("--speed", help="max, or a multiple of real time such as 1 or 10.")
]
Repeat = Annotated[
    int, typer.Option("--repeat", min=1, help="Read a finite feed so often, shifted in time.")
]

StepNames = Annotated[
    str | None, typer.Option("--steps", help="Only these steps, with commas between.")
]
Fused = Annotated[bool, typer.Option(help="Whether the workers run fused steps.")]

VersionName = Annotated[
    str | None,
    typer.Option(
        "--version", help="Beside the main line: the same inputs, own outputs and state, by a name."
    ),
]

HERE = Path()


def names_of(topology: Topology, steps: str | None) -> tuple[str, ...]:
    """Return the steps an option names: all of the topology's if it is absent.

    Raises:  TopologyError if there is no such step.
    """
    names = [each.strip() for each in (steps or "").split(",") if each.strip()]
    for name in names:
        topology.step(name)
    return tuple(names) or tuple(step.name for step in topology.steps)
