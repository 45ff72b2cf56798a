"""The command line: what a person asks for, and how errors are told."""

import sys

import typer
from rich.console import Console

from headrace.cli import control, export, faults, feed, graph, model, state, topics, up, worker
from headrace.errors import HeadraceError, UsageError

EXIT_FAILED = 1
EXIT_USAGE = 2

app = typer.Typer(
    name="headrace",
    help="Columnar stream processing for trading, on Faust and Apache Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("worker")(worker.worker)
app.command("feed")(feed.feed)
app.command("faults")(faults.faults)
app.command("control", context_settings=control.ANY_OPTION)(control.control)
app.command("topics")(topics.topics)
app.command("state")(state.state)
app.command("graph")(graph.graph)
app.command("export")(export.export)
app.add_typer(model.app, name="model")


def main() -> None:
    """Run the command line; errors of ours are one message, not a trace."""
    console = Console(stderr=True)
    try:
        app()
    except UsageError as error:
        console.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(EXIT_USAGE)
    except HeadraceError as error:
        console.print(f"[red]failed:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(EXIT_FAILED)
