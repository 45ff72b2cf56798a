"""`headrace compile`: what the first batch would wait for, done before it comes."""

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console

from headrace.cli.options import HERE, ProjectFolder, TopologyName
from headrace.feed import FeedOptions
from headrace.project import Project

FEED = "sim:2?events=400&seed=1&start=1700000000000000000"
"""Some of everything the simulator knows."""

app = typer.Typer(add_completion=False)


@app.command("compile")
def compile_kernels(
    topology: TopologyName,
    feed: Annotated[str, typer.Option("--feed", help="A short, finite feed to run.")] = FEED,
    project: ProjectFolder = HERE,
) -> None:
    """Compile the kernels of a topology's steps, so that the first batch need not wait for it.

    What is compiled is kept beside its source, or where NUMBA_CACHE_DIR says, until that changes.
    """
    from headrace.precompile import precompile

    begun_s = monotonic()
    found = Project(Path(project))
    chosen = found.topology(topology)
    steps = precompile(found, chosen, chosen.source.open(feed, FeedOptions()))
    told = f"compiled what {', '.join(steps)} call, in {monotonic() - begun_s:.1f} s"
    Console(stderr=True).print(told, highlight=False, soft_wrap=True)
