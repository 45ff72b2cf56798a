"""`headrace versions`: what ran beside the main line is listed, compared, dropped, switched to."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, AsJson, ProjectFolder, TopologyName
from headrace.errors import TransientError
from headrace.project import Project
from headrace.servers import Endpoints
from headrace.settings import Settings
from headrace.topology import Topology

if TYPE_CHECKING:
    from headrace.kafka.fetched import Offsets
    from headrace.versions.compare import ComparedTopic, Comparison
    from headrace.versions.kept import KeptVersion

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="List, compare, drop versions of a topology, or switch to one.",
)

Name = Annotated[str, typer.Argument(help="A version.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class _Row:
    version: str
    steps: str
    members: list[str]
    lag: int
    records: dict[str, int]


@app.command("list")
def list_versions(
    topology: TopologyName, as_json: AsJson = False, project: ProjectFolder = HERE
) -> None:
    """List the versions Kafka keeps: steps, members, offsets not done with, records written."""
    from headrace.kafka.admin import Admin
    from headrace.up.lag import LagWatch
    from headrace.versions.kept import chain_states, kept_versions

    rows: list[_Row] = []
    with _kafka(topology, project) as (_, chosen, servers):
        existing = Admin(servers.kafka).partitions()
        for version in kept_versions(chosen, existing):
            written = {name: n for name, n in version.written.items() if name in existing}
            counts = LagWatch(servers.kafka, ()).counts(written)
            for state in chain_states(servers.kafka, version):
                records = {name: counts.get(name, 0) for name in state.chain.outputs}
                members = list(state.members)
                rows.append(_Row(version.name, state.chain.name, members, state.lag, records))
            rows += [_Row(version.name, f"? {name}", [], 0, {}) for name in version.unknown]
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table("version", "steps", "members", "lag", "records")
    for row in rows:
        said = ", ".join(f"{name} {count:,}" for name, count in row.records.items())
        table.add_row(row.version, row.steps, str(len(row.members)), f"{row.lag:,}", said)
    Console().print(table if rows else f"no state of {topology} in Kafka")


@app.command("compare")
def compare(
    topology: TopologyName,
    left: Annotated[str, typer.Argument(help="A version, or main.")],
    right: Annotated[str, typer.Argument(help="Another one.")],
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Compare what two versions wrote, topic by topic and key by key; exit code 1 if it differs."""
    from headrace.runtime.assemble import open_registry
    from headrace.versions.compare import compare as do_compare
    from headrace.versions.kept import kept_version

    with _kafka(topology, project) as (found, chosen, servers):
        pair = kept_version(servers.kafka, chosen, left), kept_version(servers.kafka, chosen, right)
        registry = open_registry(Settings.load(), servers.kafka)
        comparison = do_compare(found, registry, servers.kafka, *pair)
    if as_json:
        typer.echo(json.dumps(_as_json(comparison), indent=2, default=str))
    else:
        _tell(comparison, left, right)
    if not comparison.is_same:
        raise typer.Exit(1)


@app.command("drop")
def drop(
    topology: TopologyName, version: Name, yes: Yes = False, project: ProjectFolder = HERE
) -> None:
    """Remove a version: its topics, its groups, and what this home keeps of its state."""
    from headrace.versions.drop import drop as do_drop
    from headrace.versions.drop import plan_drop
    from headrace.versions.kept import kept_version

    with _kafka(topology, project) as (_, chosen, servers):
        planned = plan_drop(servers.kafka, chosen, kept_version(servers.kafka, chosen, version))
        for name in (*planned.groups, *planned.topics):
            typer.echo(name)
        if not yes:
            typer.confirm(f"delete these {len(planned.topics)} topics?", abort=True)
        do_drop(servers.kafka, planned, Settings.load().home)
    typer.echo("dropped")


@app.command("switch")
def switch(
    topology: TopologyName, version: Name, yes: Yes = False, project: ProjectFolder = HERE
) -> None:
    """Have the stopped main line go on with the state of a stopped version, where it has ended.

    Name the project whose code the version has run: what the main line is started with afterwards.
    """
    from headrace.versions.kept import kept_version
    from headrace.versions.switch import plan_switch
    from headrace.versions.switch import switch as do_switch

    with _kafka(topology, project) as (found, chosen, servers):
        kept = kept_version(servers.kafka, chosen, version)
        planned = plan_switch(servers.kafka, chosen, kept)
        names = ", ".join(chain.name for chain in planned.chains)
        typer.echo(f"{names}: their state is replaced by that of {version}")
        typer.echo(f"{version} reads {planned.behind:,} offsets more, to where they have ended")
        if not yes:
            typer.confirm("switch?", abort=True)
        do_switch(servers.kafka, planned, lambda ends: _catch_up(found, servers, kept, ends))
    typer.echo("switched")


@contextmanager
def _kafka(name: str, folder: Path) -> Iterator[tuple[Project, Topology, Endpoints]]:
    log_to_stderr()
    project = Project(Path(folder))
    topology = project.topology(name)
    with connected(Settings.load(), only=frozenset({"kafka"})) as endpoints:
        yield project, topology, endpoints


def _catch_up(
    project: Project,
    servers: Endpoints,
    version: "KeptVersion",
    ends: "Mapping[str, Offsets]",
) -> None:
    """Run the version's chains to these ends, in this process.

    Raises:  TransientError if somebody ends it before.
    """
    from headrace.runtime.assemble import Assembly
    from headrace.up.processes import free_port
    from headrace.versions.kept import choice_of
    from headrace.versions.replay import replay

    assembly = Assembly(project, version.topology, Settings.load(), servers, ends)
    worker = assembly.app(choice_of(version), free_port())
    if not replay(worker, servers.kafka, version.chains, ends).is_done:
        raise TransientError("ended before the version was where the main line is; switch again")


def _as_json(comparison: "Comparison") -> dict[str, Any]:
    topics = []
    for each in comparison.topics:
        agreement = asdict(each.agreement)
        del agreement["examples"]
        row = {"topic": each.topic, "left": each.left, "right": each.right, **agreement}
        topics.append(row | {"is_decided": each.is_decided, "differences": list(each.shown)})
    return {"is_same": comparison.is_same, **asdict(comparison.bounds), "topics": topics}


def _tell(comparison: "Comparison", left: str, right: str) -> None:
    console = Console()
    columns = ("equal", "differing", f"only {left}", f"only {right}", "out of order", "outside")
    table = Table("topic", left, right, *columns)
    for each in comparison.topics:
        found = each.agreement
        counts = [each.left, each.right, found.equal, found.differing, found.only_left]
        counts += [found.only_right, found.out_of_order, found.outside]
        name = each.topic if each.is_decided else f"{each.topic} *"
        table.add_row(name, *(f"{count:,}" for count in counts))
    console.print(table)
    for each in comparison.topics:
        _tell_differences(console, each, left, right)
    if not all(each.is_decided for each in comparison.topics):
        console.print("* depends on which of several inputs is read first: does not count")
    bounds = comparison.bounds
    places = [("began", bounds.is_open_before), ("ended", bounds.is_open_behind)]
    for word in (word for word, is_open in places if is_open):
        console.print(
            f"they may have {word} at other places of their input: records there that one of them "
            "alone has are outside"
        )
    console.print("same" if comparison.is_same else "[red]they differ[/red]")


def _tell_differences(console: Console, topic: "ComparedTopic", left: str, right: str) -> None:
    for each in topic.shown:
        said = f"{topic.topic} {each['key']}: {left} {each['left']}, {right} {each['right']}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
