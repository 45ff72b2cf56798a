"""Training and evaluating a project's model bundles, each by its own train.py and evaluate.py.

A bundle `models/NAME` has `train.py` with `train(tables)`, which returns the bundle's `files` by
name and a `report`, and `evaluate.py` with `evaluate(model, tables)`, which returns a report. It
may have `compare.py` with `compare(tables)`, which returns a report of models that predicted beside
each other. They say in `TOPOLOGY` and `TOPICS` what they read, and in `RECORDINGS` which files of a
data folder. A report has `as_json()` and prints with rich.
"""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from headrace.errors import UsageError
from headrace.feed import FeedOptions
from headrace.inference import Model
from headrace.offline import offline_tables
from headrace.project import Project

Tables: TypeAlias = Callable[[Any], Mapping[str, pa.Table]]
"""Returns the topics that a script of a bundle reads, by name."""


def train(project: Project, name: str, data: Path, out: Path) -> Any:
    """Train the bundle on recordings in `data`, write its files to `out`, return its report.

    Raises:  UsageError if there is no such bundle, no such recordings, or training's packages are
             not installed.
    """
    script = _script(project, name, "train")
    trained = script.train(_tables(project, script, data))
    out.mkdir(parents=True, exist_ok=True)
    for file, content in trained.files.items():
        (out / file).write_bytes(content)
    return trained.report


def evaluate(project: Project, name: str, bundle: Path, data: Path) -> Any:
    """Evaluate the model in the folder `bundle` on recordings in `data`; return the report.

    Raises:  UsageError as `train`, or if the model does not fit its contract.
    """
    script = _script(project, name, "evaluate")
    model = Model.load(bundle)
    return script.evaluate(model, _tables(project, script, data))


def compare(project: Project, name: str, tables: Tables) -> Any:
    """Compare the models that predicted beside each other; return the report.

    `tables` reads the topics that the bundle's `compare.py` names, of the topology it names.
    Raises:  UsageError if there is no such bundle, or nothing to compare.
    """
    script = _script(project, name, "compare")
    return script.compare(tables(script))


def recorded(project: Project, data: Path) -> Tables:
    """Return what gives a script its topics as its topology writes them over recordings."""
    return lambda script: _tables(project, script, data)


def _script(project: Project, name: str, what: str) -> Any:
    if not name.isidentifier() or not (project.models / name / f"{what}.py").is_file():
        known = ", ".join(sorted(path.parent.name for path in project.models.glob(f"*/{what}.py")))
        raise UsageError(
            f"{project.models / name}: expected a model bundle with {what}.py, found none; "
            f"there are: {known or 'none'}"
        )
    try:
        return importlib.import_module(f"models.{name}.{what}")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"models/{name}/{what}.py: expected the package {error.name}, found none installed; "
            "install the extra packages of training: headrace[train]"
        ) from error


def _tables(project: Project, script: Any, data: Path) -> dict[str, pa.Table]:
    """Return what the script reads; one recording after another, each on its own."""
    files = [data] if data.is_file() else sorted(data.glob(script.RECORDINGS))
    if not files:
        raise UsageError(
            f"{data}: expected recordings named {script.RECORDINGS}, found none; "
            "name their folder, or one file, with --data"
        )
    topology = project.topology(script.TOPOLOGY)
    found = [
        offline_tables(
            project, topology, topology.source.open(f"capture:{file}", FeedOptions()), script.TOPICS
        )
        for file in files
    ]
    return {topic: pa.concat_tables(tables[topic] for tables in found) for topic in script.TOPICS}
