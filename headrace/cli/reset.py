"""`headrace reset`: stopped steps forget their state and start empty at a place of their input."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, Fused, ProjectFolder, StepNames, TopologyName, names_of
from headrace.project import Project
from headrace.settings import Settings

app = typer.Typer(add_completion=False)


@app.command("reset")
def reset(
    topology: TopologyName,
    steps: StepNames = None,
    start: Annotated[
        str, typer.Option("--from", help="earliest, latest, or a time: written then or later.")
    ] = "earliest",
    fused: Fused = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    project: ProjectFolder = HERE,
) -> None:
    """Forget state and offsets of stopped steps; their next worker starts empty at a place.

    Topics that a step reset along with them writes are read from their end: all comes again there.
    """
    from headrace.runtime.assemble import Choice
    from headrace.versions.places import EARLIEST, LATEST, parse_where
    from headrace.versions.reset import plan_reset
    from headrace.versions.reset import reset as do_reset

    log_to_stderr()
    where = parse_where(start, "--from", (EARLIEST, LATEST))
    chosen = Project(Path(project)).topology(topology)
    settings = Settings.load()
    with connected(settings, only=frozenset({"kafka"})) as endpoints:
        choice = Choice(names_of(chosen, steps), fuse=fused)
        planned = plan_reset(endpoints.kafka, chosen, choice, where)
        names = ", ".join(chain.name for chain in planned.chains)
        again = ", ".join(planned.written_again) or "nothing"
        typer.echo(f"{names}: state and offsets are forgotten; they start empty from {start}")
        typer.echo(f"what they wrote before stays, and comes again for whoever reads: {again}")
        if not yes:
            typer.confirm("reset?", abort=True)
        do_reset(endpoints.kafka, planned, settings.home / "state")
    typer.echo("reset")
