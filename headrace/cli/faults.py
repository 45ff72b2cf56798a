"""`headrace faults`: a topology under a seeded storm of faults, held against a quiet run."""

import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from headrace.cli.logs import log_to_file
from headrace.cli.options import HERE, AsJson, ProjectFolder, TopologyName
from headrace.errors import UsageError
from headrace.project import Project
from headrace.settings import Settings

SABOTAGES = ("transaction", "fencing", "tracker")
EXIT_VIOLATED = 1

app = typer.Typer(add_completion=False)


@app.command("faults")
def faults(
    topology: TopologyName,
    seed: Annotated[int, typer.Option(help="Which schedule of faults; the first of several.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, one after another.")] = 1,
    duration: Annotated[
        float, typer.Option(min=20, help="Seconds the schedule of faults spans.")
    ] = 60,
    feed: Annotated[
        str | None, typer.Option(help="A finite feed; the topology's own if absent.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--faults", min=0, help="How many faults; one in 11 s if absent.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only faults of this kind; may be repeated.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Workers of each run of fused steps.")] = 2,
    sabotage: Annotated[
        str, typer.Option(help="Break the workers on purpose: transaction, fencing or tracker.")
    ] = "",
    report: Annotated[Path | None, typer.Option(help="Write all that was found here.")] = None,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Prove that faults lose, double and break nothing; exit code 1 if they do."""
    from headrace.faults import report as told
    from headrace.faults.prove import Prover, Trial

    if sabotage and sabotage not in SABOTAGES:
        raise UsageError(
            f"--sabotage {sabotage}: expected one of {', '.join(SABOTAGES)}; it breaks workers "
            "on purpose, to see that the prover notices"
        )
    settings = Settings.load()
    log_to_file(settings.home / "logs" / "faults.log")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    console = Console(stderr=True)
    home = Project(Path(project))
    trial = Trial(
        home,
        home.topology(topology),
        settings.home / "faults",
        duration,
        round(duration / 11) if count is None else count,
        feed,
        tuple(kind or ()),
        workers,
        sabotage,
    )
    prover = Prover(trial, console.print)
    reports = []
    for each in range(seed, seed + seeds):
        console.print(told.schedule_table(each, prover.schedule(each)))
        reports.append(prover.prove(each))
        console.print(told.findings_table(reports[-1:]))
        if report is not None:
            report.write_text(json.dumps(told.as_json(reports), indent=2))
    if as_json:
        sys.stdout.write(json.dumps(told.as_json(reports), indent=2) + "\n")
    elif seeds > 1:
        console.print(told.findings_table(reports))
    if any(found.violations for found in reports):
        raise typer.Exit(EXIT_VIOLATED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does: every process of the run is ended on the way out."""
    del number, frame
    raise KeyboardInterrupt
