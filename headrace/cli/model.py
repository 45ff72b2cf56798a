"""`headrace model`: train, evaluate and compare the project's model bundles."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from headrace.cli.options import HERE, AsJson, ProjectFolder
from headrace.errors import UsageError
from headrace.project import Project

app = typer.Typer(
    name="model",
    add_completion=False,
    help="Train, evaluate and compare model bundles.",
    no_args_is_help=True,
)

BundleName = Annotated[str, typer.Argument(help="A bundle of the project: models/NAME.")]
DataFolder = Annotated[
    Path, typer.Option("--data", help="Recordings: a folder or a file; see the bundle's card.")
]
RECORDINGS = Path("../shared/data/binance")


@app.command("train")
def train(
    name: BundleName = "direction",
    data: DataFolder = RECORDINGS,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the bundle goes; models/NAME if absent.")
    ] = None,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Train a bundle on recordings and write its model and contract."""
    from headrace import bundles

    found = Project(Path(project))
    _print(bundles.train(found, name, data, out or found.models / name), as_json=as_json)


@app.command("evaluate")
def evaluate(
    name: BundleName = "direction",
    data: DataFolder = RECORDINGS,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="The bundle's folder; models/NAME if absent.")
    ] = None,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Judge a bundle on recordings it was not trained on."""
    from headrace import bundles

    found = Project(Path(project))
    report = bundles.evaluate(found, name, bundle or found.models / name, data)
    _print(report, as_json=as_json)


@app.command("compare")
def compare(
    name: BundleName = "direction",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Recordings; what a graph wrote to Kafka if absent."),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="Received from then on (ISO 8601, UTC); of Kafka.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="Received before then (ISO 8601, UTC); of Kafka.")
    ] = None,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Compare models that predicted the same: the one that decides and its shadows."""
    from headrace import bundles

    found = Project(Path(project))
    if data is not None:
        if first is not None or last is not None:
            raise UsageError("--from and --to are of what is on Kafka: expected none with --data")
        tables = bundles.recorded(found, data)
    else:
        tables = _on_kafka(found, first, last)
    _print(bundles.compare(found, name, tables), as_json=as_json)


def _on_kafka(
    project: Project, first: str | None, last: str | None
) -> Callable[[Any], Mapping[str, Any]]:
    """Return what reads the topics of a script from Kafka."""
    from headrace.backtest.window import parse_time
    from headrace.cli.connect import connected
    from headrace.runtime.assemble import open_registry
    from headrace.runtime.topic_tables import topic_tables
    from headrace.settings import Settings

    bounds = ((first, "--from"), (last, "--to"))
    first_ns, last_ns = (
        None if text is None else parse_time(text, option) for text, option in bounds
    )

    def read(script: Any) -> Mapping[str, Any]:
        settings = Settings.load()
        with connected(settings, only=frozenset({"kafka"})) as endpoints:
            return topic_tables(
                project,
                project.topology(script.TOPOLOGY),
                script.TOPICS,
                endpoints.kafka,
                open_registry(settings, endpoints.kafka),
                window_ns=(first_ns, last_ns),
            )

    return read


def _print(report: Any, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        Console().print(report)
