"""What a step does: whether its agent can be called, is pure, and its model fits what it reads."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.avro.schema import AvroSchema
from headrace.checks.finding import Finding
from headrace.errors import ContractError
from headrace.inference import load_models
from headrace.topology import Step, Topology

STEP_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*_by_[a-z][a-z0-9_]*\.v[0-9]+")

IMPURE = frozenset(
    {
        *("time", "random", "secrets", "uuid", "os", "socket", "subprocess", "threading"),
        *("asyncio", "tempfile", "requests", "httpx", "aiohttp", "urllib", "confluent_kafka"),
    }
)
"""Modules of clocks, chance and the outside: with them the same input gives another output."""


def check_agents(
    file: str, topology: Topology, folder: Path, schemas: Mapping[str, AvroSchema]
) -> Iterator[Finding]:
    """Check the steps of a topology in the project's folder."""
    owners: dict[str, str] = {}
    for step in topology.steps:
        if not STEP_NAME.fullmatch(step.name):
            yield Finding(
                file,
                f"step {step.name}",
                "step-name",
                f"expected up to 40 of a-z, 0-9 and '_', a letter first, found {step.name!r}: it "
                "names groups, folders and metrics",
                "rename the step",
            )
        yield from _check_call(file, step)
        yield from _check_pure(step, folder)
        yield from _check_model(file, step, folder, schemas)
        if step.table is None:
            continue
        if not TABLE_NAME.fullmatch(step.table.name):
            yield Finding(
                file,
                f"step {step.name}, table {step.table.name}",
                "table-name",
                "expected owner.noun_by_key.vN, which says whose state it is and of which layout",
                "rename the table",
            )
        other = owners.setdefault(step.table.name, step.name)
        if other != step.name:
            yield Finding(
                file,
                f"step {step.name}, table {step.table.name}",
                "table-twice",
                f"expected a table of its own, found the one of step {other}: their keys would mix",
                "declare another table",
            )


def _check_call(file: str, step: Step) -> Iterator[Finding]:
    arguments = dict.fromkeys(step.parameters)
    if step.table is not None:
        arguments["state"] = None
    if step.model is not None:
        arguments["model"] = None
    if step.challengers:
        arguments["challengers"] = None
    signature = inspect.signature(step.agent)
    try:
        signature.bind(None, **arguments)
    except TypeError as error:
        name = getattr(step.agent, "__name__", repr(step.agent))
        given = ", ".join(["batch", *arguments])
        yield Finding(
            file,
            f"step {step.name}, agent {name}",
            "agent-arguments",
            f"expected an agent that takes ({given}), as the step gives it, found "
            f"{name}{signature}: {error}",
            "mend the agent's arguments, or the step's table, model and parameters",
        )


def _check_pure(step: Step, folder: Path) -> Iterator[Finding]:
    source = inspect.getsourcefile(step.agent)
    if source is None or not Path(source).is_relative_to(folder):
        return
    file = str(Path(source).relative_to(folder))
    for name, line in _imports(Path(source).read_text()):
        if name in IMPURE:
            yield Finding(
                f"{file}:{line}",
                f"step {step.name}, import of {name}",
                "agent-impure",
                "expected an agent without clock, chance or I/O, so that it does the same live, "
                "in a test and in a backtest",
                "take the time from the records, and a seed from the step's parameters",
            )


def _imports(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], node.lineno


def _check_model(
    file: str, step: Step, folder: Path, schemas: Mapping[str, AvroSchema]
) -> Iterator[Finding]:
    if step.model is None:
        return
    bundles = (step.model, *step.challengers)
    read = {t.schema: schemas[t.schema].fields for t in step.reads if t.schema in schemas}
    try:
        load_models(folder, bundles, read)
    except ContractError as error:
        yield Finding(
            file,
            f"step {step.name}, model {', '.join(map(str, bundles))}",
            "model-contract",
            str(error),
            "the bundle and the features must be of one making",
        )
