"""`headrace replay`: a range of the input once more, in topics of a version."""

import json
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer

from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import (
    HERE,
    AsJson,
    Fused,
    ProjectFolder,
    StepNames,
    TopologyName,
    names_of,
)
from headrace.errors import TransientError
from headrace.project import Project
from headrace.settings import Settings

app = typer.Typer(add_completion=False)


@app.command("replay")
def replay(
    topology: TopologyName,
    version: Annotated[str, typer.Option("--version", help="Under which name; a new one.")],
    start: Annotated[
        str, typer.Option("--from", help="earliest, a time, or an offset in every partition.")
    ] = "earliest",
    end: Annotated[
        str, typer.Option("--to", help="latest, a time or an offset; what lies there is left out.")
    ] = "latest",
    steps: StepNames = None,
    fused: Fused = True,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Process a range of the input once more, as a version that begins empty, and end.

    Outputs, offsets and state of the main line stay as they are.
    """
    from headrace.runtime.assemble import Assembly, Choice
    from headrace.up.lag import LagWatch
    from headrace.up.processes import free_port
    from headrace.versions.beginning import begin
    from headrace.versions.chains import kept_chains
    from headrace.versions.places import EARLIEST, LATEST, parse_where
    from headrace.versions.replay import replay as do_replay
    from headrace.versions.span import end_offsets
    from headrace.versions.versioned import versioned

    log_to_stderr()
    begin_at = parse_where(start, "--from", (EARLIEST,), takes_offsets=True)
    end_at = parse_where(end, "--to", (LATEST,), takes_offsets=True)
    found = Project(Path(project))
    chosen = found.topology(topology)
    chosen = versioned(chosen, version, names_of(chosen, steps))
    settings, choice = Settings.load(), Choice(fuse=fused)
    begun_s = monotonic()
    with connected(settings, only=frozenset({"kafka"})) as endpoints:
        starts = begin(endpoints.kafka, chosen, choice, begin_at)
        chains = kept_chains(chosen, choice)
        ends = end_offsets(endpoints.kafka, chains, starts, end_at)
        worker = Assembly(found, chosen, settings, endpoints, ends).app(choice, free_port())
        done = do_replay(worker, endpoints.kafka, chains, ends)
        written = {t.name: t.partitions for step in chosen.steps for t in step.writes}
        dead = {t.dead: t.partitions for t in chosen.topics}
        counts = LagWatch(endpoints.kafka, ()).counts(written | dead)
    told = {
        "read": {topic: done.read.get(topic, 0) for topic, _ in starts},
        "written": {name: counts[name] for name in written},
        "dead": {name: counts[name] for name in dead if counts[name]},
        "held": dict(done.held),
        "seconds": round(monotonic() - begun_s, 3),
    }
    typer.echo(json.dumps(told, indent=2) if as_json else _words(told))
    if not done.is_done:
        raise TransientError(
            f"replay of {topology} as {version} was ended before it was through; go on with "
            f"headrace worker {topology} --version {version}, or headrace versions drop it"
        )


def _words(told: dict[str, Any]) -> str:
    lines = [
        f"{what:<8} {name:<40} {count:>14,}"
        for what in ("read", "written", "dead", "held")
        for name, count in told[what].items()
    ]
    return "\n".join([*lines, f"{told['seconds']:.1f} s"])
