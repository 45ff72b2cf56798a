"""`headrace backtest`: a topology over a recording as fast as the machine goes, and a report."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import gmtime, monotonic, strftime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headrace import limits
from headrace.avro.schema import load_schema
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import (
    HERE,
    AsJson,
    FeedText,
    ProjectFolder,
    Repeat,
    Symbols,
    TopologyName,
)
from headrace.errors import UsageError
from headrace.feed import FeedOptions
from headrace.project import Project
from headrace.reference.rows import Row
from headrace.settings import Settings
from headrace.topology import Topology

PROGRESS_S = 2.0
DIFFERENCES_SHOWN = 40
OWN_FEED_S = 60.0

app = typer.Typer(add_completion=False)


@app.command("backtest")
def backtest(
    topology: TopologyName,
    feed: FeedText = None,
    symbols: Symbols = None,
    repeat: Repeat = 1,
    first: Annotated[
        str | None, typer.Option("--from", help="Frames received from then on (ISO 8601, UTC).")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="Frames received before then (ISO 8601, UTC).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report; one of HEADRACE_HOME if absent.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Folder of another backtest: say what differs from it.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="TOPIC=FILE.csv or .parquet: the rows of a reference topic; repeatable."),
    ] = None,
    run_ahead_ms: Annotated[
        int, typer.Option(min=1, help="How late an answer in a loop may come (docs/testing.md).")
    ] = limits.LOCAL_RUN_AHEAD_MS,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Run a topology over a finite feed without Kafka, and report what it did."""
    from headrace.backtest.compare import compare as differences
    from headrace.backtest.compare import read_report
    from headrace.backtest.folder import COMPARED, write_folder
    from headrace.backtest.run import as_json as report_of
    from headrace.backtest.run import run_backtest
    from headrace.backtest.window import WindowedFeed, parse_time

    log_to_stderr()
    home = Project(Path(project))
    chosen = home.topology(topology)
    name = feed or _own_feed(chosen)
    bounds = [
        None if text is None else parse_time(text, option)
        for text, option in ((first, "--from"), (last, "--to"))
    ]
    if compare is not None:
        read_report(compare)  # not after minutes
    rows = _references(home, chosen, reference or [])
    opened = chosen.source.open(name, FeedOptions(frozenset(symbols or ()), repeat))
    source = WindowedFeed(opened, *bounds)
    console = Console(stderr=True)
    done = run_backtest(
        home,
        chosen,
        source,
        _Progress(console),
        run_ahead_ms=run_ahead_ms,
        references=rows,
    )
    report = report_of(done, source, name)
    folder = out or _folder(Settings.load().home, topology)
    write_folder(folder, done, report)
    console.print(f"report in {folder}", highlight=False, soft_wrap=True)
    if compare is not None:
        found = differences(folder, compare)
        (folder / COMPARED).write_text(json.dumps(found, indent=2))
        console.print(_differences(found))
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        Console().print(_summary(report))


def _own_feed(topology: Topology) -> str:
    """Return a feed of the topology's own that ends: its defaults may not."""
    if topology.proof.feed is None:
        raise UsageError(
            f"topology {topology.name}: expected a feed that ends, found none of its own; "
            "name one with --feed"
        )
    return topology.proof.feed(OWN_FEED_S)


def _references(
    home: Project, topology: Topology, given: Sequence[str]
) -> dict[str, Sequence[Row]]:
    """Return by topic the rows of the files that an option names."""
    from headrace.reference.table_files import read_table_file

    schemas = {topic.name: topic.schema for topic in topology.topics}
    found: dict[str, Sequence[Row]] = {}
    for text in given:
        name, _, file = text.partition("=")
        if name not in schemas or not file:
            raise UsageError(f"--reference {text}: expected TOPIC=FILE of a topic of the topology")
        found[name] = read_table_file(Path(file), load_schema(home.schemas, schemas[name]))
    return found


class _Progress:
    """Tells now and then how far the run is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told_at_s = monotonic()

    def __call__(self, frames: int, clock_ms: int) -> None:
        if monotonic() - self._told_at_s > PROGRESS_S:
            self._told_at_s = monotonic()
            now = strftime("%Y-%m-%d %H:%M:%S", gmtime(clock_ms / 1_000))
            self._console.print(f"{frames:,} frames, up to {now}", highlight=False)


def _folder(home: Path, topology: str) -> Path:
    return home / "backtests" / f"{topology}-{strftime('%Y%m%dT%H%M%SZ', gmtime())}"


def _summary(report: dict[str, Any]) -> Table:
    from headrace.backtest.page import summary

    table = Table("backtest", report["topology"], title_justify="left")
    for name, value in summary(report):
        table.add_row(name, f"{value:,.6g}" if isinstance(value, float) else str(value))
    return table


def _differences(found: dict[str, Any]) -> Table:
    from headrace.backtest.compare import is_same

    if is_same(found):
        return Table(title=f"nothing differs from {found['other']}")
    table = Table("what", "this run", "the other", title=f"differs from {found['other']}")
    for topic in found["topics"]:
        table.add_row(f"{topic}: other bytes", "", "")
    for name, (mine, other) in list(found["figures"].items())[:DIFFERENCES_SHOWN]:
        table.add_row(name, str(mine), str(other))
    left_out = len(found["figures"]) - DIFFERENCES_SHOWN
    if left_out > 0:
        table.add_row(f"and {left_out:,} figures more, in compare.json", "", "")
    orders = found["orders"]
    if orders is not None:
        table.add_row("orders only in", str(orders["only_in_this"]), str(orders["only_in_other"]))
        table.add_row("orders changed", str(orders["changed"]), "")
    return table
