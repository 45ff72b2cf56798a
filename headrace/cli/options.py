"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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

HERE = Path()
