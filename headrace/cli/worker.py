"""`headrace worker`: one pod's work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace import limits
from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, ProjectFolder, TopologyName, VersionName
from headrace.errors import UsageError
from headrace.project import Project
from headrace.settings import Settings

if TYPE_CHECKING:
    from headrace.runtime.assemble import Choice

app = typer.Typer(add_completion=False)


@app.command("worker")
def worker(
    topology: TopologyName,
    step: Annotated[list[str] | None, typer.Option("--step", help="Only these steps.")] = None,
    sink: Annotated[list[str] | None, typer.Option("--sink", help="Only these sinks.")] = None,
    gateway: Annotated[
        list[str] | None, typer.Option("--gateway", help="Only these gateways.")
    ] = None,
    fused: Annotated[
        bool, typer.Option(help="Run neighbouring steps that share a key in one task.")
    ] = True,
    web_port: Annotated[
        int | None, typer.Option(help="Port of Faust's web server; HEADRACE_WEB_PORT if absent.")
    ] = None,
    version: VersionName = None,
    project: ProjectFolder = HERE,
) -> None:
    """Run steps, sinks and gateways of a topology under Faust until a signal ends it."""
    # Faust and what it brings along are only loaded where they are used.
    from headrace.runtime.app import run_worker
    from headrace.runtime.assemble import Assembly, Choice
    from headrace.versions.beginning import require_own
    from headrace.versions.versioned import versioned

    log_to_stderr()
    settings = Settings.load()
    found = Project(Path(project))
    choice = Choice(tuple(step or ()), tuple(sink or ()), fused, tuple(gateway or ()))
    chosen = found.topology(topology)
    if version is not None:
        _require_steps_only(choice, version)
        chosen, choice = versioned(chosen, version, choice.steps), Choice(fuse=fused)
    needed = {"kafka", *(sink.name for sink in choice.chosen_sinks(chosen))}
    with connected(
        settings, only=frozenset(needed), patience_s=limits.SERVERS_WAIT_S_MAX
    ) as endpoints:
        if version is not None:
            require_own(endpoints.kafka, chosen)
        run_worker(
            Assembly(found, chosen, settings, endpoints).app(choice, web_port or settings.web_port)
        )


def _require_steps_only(choice: "Choice", version: str) -> None:
    """Refuse a version that is to reach beyond Kafka."""
    outside = [f"--sink {name}" for name in choice.sinks]
    outside += [f"--gateway {name}" for name in choice.gateways]
    if outside:
        raise UsageError(
            f"version {version}: expected steps alone, found {', '.join(outside)}; a version "
            "writes to topics of its own and no further: sinks and gateways belong to the main line"
        )
