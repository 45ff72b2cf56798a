"""`headrace model`: train and evaluate the project's model bundles."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from headrace.cli.options import HERE, AsJson, ProjectFolder
from headrace.project import Project

app = typer.Typer(
    name="model",
    add_completion=False,
    help="Train and evaluate model bundles.",
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


def _print(report: Any, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        Console().print(report)
