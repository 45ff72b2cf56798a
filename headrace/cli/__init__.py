"""The command line: what a person asks for, and how errors are told."""

import sys
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from headrace.errors import HeadraceError, UsageError

EXIT_FAILED = 1
EXIT_USAGE = 2

COMMANDS = (
    *("up", "worker", "feed", "control", "reference"),
    *("new", "check", "backtest", "compile", "rehearse", "model", "faults"),
    *("topics", "dead", "state", "reset", "replay", "versions", "export", "graph"),
)
"""Each is a module here with an `app`, imported when it is asked for: a pod starts one of them."""


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  (click's signature)
        if cmd_name not in COMMANDS:
            return None
        return typer.main.get_command(import_module(f"headrace.cli.{cmd_name}").app)


app = typer.Typer(
    name="headrace",
    cls=_Commands,
    help="Columnar stream processing for trading, on Faust and Apache Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _headrace() -> None:
    """Columnar stream processing for trading, on Faust and Apache Kafka."""


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
