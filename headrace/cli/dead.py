"""`headrace dead`: what could not be processed, and what is to become of it."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, AsJson, ProjectFolder, TopologyName
from headrace.errors import UsageError
from headrace.letters.letter import Letter
from headrace.letters.pending import Fate, PendingLetters
from headrace.project import Project
from headrace.settings import Settings
from headrace.versions.versioned import MAIN, line

SHOWN = 10
SHOWN_CHARACTERS_MAX = 2_000

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="List, show, redrive or drop dead letters.",
)

OfTopic = Annotated[
    str | None, typer.Option("--topic", help="Only letters of this topic (without .dead).")
]
OfCause = Annotated[str | None, typer.Option("--cause", help="Only letters with this cause.")]
OfStep = Annotated[str | None, typer.Option("--step", help="Only letters this step gave up.")]
OfVersion = Annotated[str, typer.Option("--version", help="Letters of this version's own.")]
AT_MOST = typer.Option("--limit", min=1, help="At most so many.")


@app.command("list")
def list_letters(
    topology: TopologyName,
    topic: OfTopic = None,
    as_json: AsJson = False,
    version: OfVersion = MAIN,
    project: ProjectFolder = HERE,
) -> None:
    """Count the letters nobody has dealt with, by topic, step and cause."""
    counts: Counter[tuple[str, str, str]] = Counter()
    last: dict[tuple[str, str, str], Letter] = {}
    with _pending(topology, topic, project, version) as pending:
        for letter in pending.read():
            kind = (letter.topic, letter.step, letter.cause)
            counts[kind] += 1
            last[kind] = letter
    rows = [
        {
            "topic": kind[0],
            "step": kind[1],
            "cause": kind[2],
            "letters": count,
            "last": _time(last[kind]),
            "detail": last[kind].detail,
        }
        for kind, count in sorted(counts.items())
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    table = Table("topic", "step", "cause", "letters", "last", "its detail")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table if rows else "no dead letters")


@app.command("show")
def show(
    topology: TopologyName,
    topic: OfTopic = None,
    cause: OfCause = None,
    step: OfStep = None,
    limit: Annotated[int, AT_MOST] = SHOWN,
    version: OfVersion = MAIN,
    project: ProjectFolder = HERE,
) -> None:
    """Print letters, a JSON object a line: where from, why, and the record as it was."""
    with _pending(topology, topic, project, version) as pending:
        chosen = filter(_chooser(cause, step), pending.read())
        for letter in islice(chosen, limit):
            sys.stdout.write(json.dumps(_as_json(letter)) + "\n")


@app.command("redrive")
def redrive(
    topology: TopologyName,
    topic: OfTopic = None,
    cause: OfCause = None,
    step: OfStep = None,
    limit: Annotated[int | None, AT_MOST] = None,
    project: ProjectFolder = HERE,
) -> None:
    """Send letters again to the topic and partition they came from, each once."""
    _deal("redriven", topology, topic, _chooser(cause, step), limit, project)


@app.command("drop")
def drop(
    topology: TopologyName,
    topic: OfTopic = None,
    cause: OfCause = None,
    step: OfStep = None,
    limit: Annotated[int | None, AT_MOST] = None,
    project: ProjectFolder = HERE,
) -> None:
    """Set letters aside as dealt with; the log keeps them until they expire."""
    _deal("dropped", topology, topic, _chooser(cause, step), limit, project)


def _deal(
    fate: Fate,
    topology: str,
    topic: str | None,
    is_meant: Callable[[Letter], bool],
    limit: int | None,
    project: Path,
) -> None:
    with _pending(topology, topic, project) as pending:
        done = pending.deal(fate, is_meant, limit)
    sys.stderr.write(f"{done[fate]:,} letters {fate}, {done['kept']:,} kept\n")


@contextmanager
def _pending(
    name: str, topic: str | None, project: Path, version: str = MAIN
) -> Iterator[PendingLetters]:
    log_to_stderr()
    topology = line(Project(Path(project)).topology(name), version)
    topics = [each for each in topology.topics if topic is None or each.name == topic]
    if not topics:
        names = ", ".join(each.name for each in topology.topics)
        raise UsageError(f"topology {name} has no topic {topic!r}; it has {names}")
    with connected(Settings.load(), only=frozenset({"kafka"})) as endpoints:
        yield PendingLetters(endpoints.kafka, topology, topics)


def _chooser(cause: str | None, step: str | None) -> Callable[[Letter], bool]:
    return lambda letter: cause in {None, letter.cause} and step in {None, letter.step}


def _as_json(letter: Letter) -> dict[str, object]:
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.origin_offset,
        "step": letter.step,
        "cause": letter.cause,
        "detail": letter.detail,
        "time": _time(letter),
        "key": None if letter.key is None else letter.key.decode(errors="backslashreplace"),
        "value": letter.value[:SHOWN_CHARACTERS_MAX].decode(errors="backslashreplace"),
        "value_bytes": len(letter.value),
        "headers": {name: text.decode(errors="backslashreplace") for name, text in letter.headers},
    }


def _time(letter: Letter) -> str:
    return datetime.fromtimestamp(letter.time_ms / 1_000, UTC).isoformat(timespec="milliseconds")
