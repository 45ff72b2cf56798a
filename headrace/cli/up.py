"""`headrace up`: a topology on this machine, from servers to screen."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from headrace.cli.connect import write_endpoints
from headrace.cli.logs import log_to_file
from headrace.cli.options import HERE, FeedText, ProjectFolder, Repeat, Speed, Symbols, TopologyName
from headrace.errors import FeedError
from headrace.feed import FeedOptions
from headrace.pace import parse_speed
from headrace.project import Project
from headrace.servers import Servers
from headrace.servers.registry import RegistryServer
from headrace.settings import Settings
from headrace.topology import Topology
from headrace.up.live import LiveView
from headrace.up.reload import Reloader, reloader_of
from headrace.up.report import make_report
from headrace.up.run import FeedChoice, Run

REFRESH_S = 0.5

console = Console(stderr=True)

app = typer.Typer(add_completion=False)


@app.command("up")
def up(
    topology: TopologyName,
    feed: FeedText = None,
    symbols: Symbols = None,
    speed: Speed = "1",
    repeat: Repeat = 1,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop when a finite feed is through every step.")
    ] = False,
    for_s: Annotated[
        float | None, typer.Option("--for", help="Stop after so many seconds.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report of the run here.")] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Run new code when the project's files change.")
    ] = False,
    project: ProjectFolder = HERE,
) -> None:
    """Run a topology with embedded servers and a live view; Ctrl-C stops it cleanly."""
    settings = Settings.load()
    log_to_file(settings.home / "logs" / "up.log")
    found = Project(Path(project))
    chosen = found.topology(topology)
    options = FeedOptions(frozenset(symbols or ()), repeat)
    parse_speed(speed)  # a bad one is told before servers start
    text = _choose_feed(chosen, feed, options)
    choice = FeedChoice(text, tuple(symbols or ()), speed, repeat)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _servers(settings) as servers:
        noted = write_endpoints(settings.home, servers.endpoints, os.getpid())
        with RegistryServer(servers.endpoints.kafka) as registry:
            run = Run(found, chosen, servers.endpoints, settings.home)
            try:
                console.print(f"schema registry on {registry.url}; starting workers …")
                if reload:
                    _write_no_bytecode()
                run.start_workers()
                run.start_feed(choice)
                with _reloading(run, found, is_wanted=reload) as reloader:
                    view = LiveView(run, f"feed {text}", reloader)
                    _watch(run, view, servers, stop, reloader, until_end=until_end, for_s=for_s)
            finally:
                run.stop()
                noted.unlink()
            if report is not None:
                report.write_text(json.dumps(make_report(run, database=True), indent=2))
                console.print(f"report written to {report}")


def _choose_feed(topology: Topology, text: str | None, options: FeedOptions) -> str:
    """Return the feed to use: the one named, or the first of the topology's own that opens."""
    if text is not None:
        topology.source.open(text, options)  # what cannot be opened is said before servers start
        return text
    *first, last = topology.source.defaults
    for candidate in first:
        console.print(f"trying {candidate} …")
        try:
            topology.source.open(candidate, options)
        except FeedError as error:
            console.print(f"[yellow]{candidate} cannot be used:[/yellow] {error}", soft_wrap=True)
        else:
            console.print(f"[bold green]using the live feed {candidate}[/bold green]")
            return candidate
    console.print(f"[bold yellow]no live market: using the simulator ({last})[/bold yellow]")
    return last


def _write_no_bytecode() -> None:
    """Let no process keep what it compiles of the project.

    Python knows a changed file by its size and second: two saves within one are one to it.
    """
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def _servers(settings: Settings) -> Servers:
    console.print(f"starting Kafka, PostgreSQL and Redis under {settings.home} …")
    return Servers(settings)


@contextmanager
def _reloading(run: Run, project: Project, *, is_wanted: bool) -> Iterator[Reloader | None]:
    """Give what reloads the run while files change, None if nobody asked for it."""
    if not is_wanted:
        yield None
        return
    from headrace.up.sources import SourceWatch

    run.may_change = True
    with SourceWatch(project.folder) as sources:
        found = reloader_of(run, project, sources)
        try:
            yield found
        finally:
            found.close()


def _watch(
    run: Run,
    view: LiveView,
    servers: Servers,
    stop: Event,
    reloader: Reloader | None,
    *,
    until_end: bool,
    for_s: float | None,
) -> None:
    """Show the run until it is over."""
    screen = Console()
    note = ""
    with Live(console=screen, refresh_per_second=2, transient=False) as live:
        while not stop.wait(REFRESH_S):
            run.check()
            if reloader is not None:
                reloader.look()
                if not screen.is_terminal and reloader.note != note:
                    note = reloader.note
                    console.print(f"reload: {note}", markup=False, soft_wrap=True)
            live.update(view.render(servers.states()))
            if for_s is not None and run.elapsed_s > for_s:
                break
            if until_end and run.is_finished():
                run.check()
                live.update(view.render(servers.states()))
                break
    view.close()
    if not screen.is_terminal:
        sys.stdout.flush()
