"""`headrace state`: who owns which state, how large it is, how far behind."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, AsJson, ProjectFolder, TopologyName
from headrace.project import Project
from headrace.settings import Settings
from headrace.state.inspect import TaskState, task_states
from headrace.topology import Topology

app = typer.Typer(add_completion=False)


@app.command("state")
def state(
    topology: TopologyName,
    fused: Annotated[bool, typer.Option(help="Whether the workers run fused steps.")] = True,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Show size, lag and owner of each chain's state, by partition."""
    log_to_stderr()
    found = Project(Path(project)).topology(topology)
    settings = Settings.load()
    with connected(settings, only=frozenset({"kafka"})) as endpoints:
        chains = _chains(found, endpoints.kafka, settings.home / "state", fused=fused)
    if as_json:
        tasks = [asdict(task) for states in chains.values() for task in states]
        typer.echo(msgspec.json.encode(tasks).decode())
        return
    console = Console()
    for title, states in chains.items():
        console.print(_table(title, states))


def _chains(
    topology: Topology, bootstrap: str, folder: Path, *, fused: bool
) -> dict[str, list[TaskState]]:
    from headrace.runtime.assemble import Choice, ensure_topics
    from headrace.runtime.chain import outer_topics
    from headrace.runtime.topics import changelog_topic, lane_name

    runs = Choice(fuse=fused).runs(topology)
    ensure_topics(topology, bootstrap, runs)
    partitions = {topic.name: topic.partitions for topic in topology.topics}
    return {
        "+".join(step.name for step in run): task_states(
            bootstrap,
            lane_name(topology, run),
            changelog=changelog_topic(topology, run),
            partitions=run[0].reads[0].partitions,
            inputs={name: partitions[name] for name in outer_topics(run)},
            folder=folder / lane_name(topology, run),
        )
        for run in runs
    }


def _table(title: str, states: list[TaskState]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("partition", "owner", "checkpoint", "lag", "changelog records", "KiB here"):
        table.add_column(name, justify="left" if name == "owner" else "right")
    for task in states:
        table.add_row(
            str(task.partition),
            f"({task.owner} let go)" if task.is_released else task.owner or "-",
            f"{task.checkpoint:,}",
            f"{task.lag_records:,}",
            f"{task.changelog_records:,}",
            f"{task.disk_bytes / 1024:,.0f}",
        )
    return table
