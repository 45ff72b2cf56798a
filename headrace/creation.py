"""New projects and parts of projects: the starter's files under another name."""

import re
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import UsageError

STARTER = Path(__file__).parent / "starter"
"""A small project that runs, and parts to add to one; every `starter` in it becomes the name."""

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
NAME_CHARACTERS_MAX = 40


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file of the starter, and where it goes in a project."""

    source: str
    target: str


PARTS = {
    "agent": (
        NewFile("agent.py", "agents/starter.py"),
        NewFile("test_agent.py", "tests/test_starter.py"),
    ),
    "schema": (NewFile("schema.avsc", "schemas/avro/starter.v1.avsc"),),
    "topology": (
        NewFile("topology.py", "topologies/starter.py"),
        NewFile("agent.py", "agents/starter.py"),
        NewFile("schema.avsc", "schemas/avro/starter.v1.avsc"),
        NewFile("test_agent.py", "tests/test_starter.py"),
    ),
}
"""What belongs to each kind of part: a topology brings the agent and the schema it begins with."""


def new_project(parent: Path, name: str) -> Path:
    """Lay down a project in a new folder of that name; return the folder.

    Raises:  UsageError if the name is none, or the folder is there already.
    """
    _require_name(name)
    folder = parent / name
    if folder.exists():
        raise UsageError(f"{folder}: expected no such folder yet, found one; choose another name")
    source = STARTER / "project"
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            inside = str(path.relative_to(source)).replace("gitignore", ".gitignore")
            _copy(path, folder / _named(inside, name), name)
    return folder


def new_part(project: Path, kind: str, name: str) -> list[Path]:
    """Add a part to a project; return the files written.

    Raises:  UsageError if there is no such kind, the name is none, or a file is there already.
    """
    if kind not in PARTS:
        raise UsageError(
            f"new {kind}: expected one of {', '.join(PARTS)}; `headrace new NAME` makes a project"
        )
    _require_name(name)
    targets = [project / _named(part.target, name) for part in PARTS[kind]]
    taken = [str(path.relative_to(project)) for path in targets if path.exists()]
    if taken:
        raise UsageError(
            f"{', '.join(taken)}: expected no such file yet, found one; choose another name"
        )
    for part, target in zip(PARTS[kind], targets, strict=True):
        _copy(STARTER / "part" / part.source, target, name)
    return targets


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name) or len(name) > NAME_CHARACTERS_MAX:
        raise UsageError(
            f"name {name!r}: expected up to {NAME_CHARACTERS_MAX} of a-z, 0-9 and '_', a letter "
            "first: it names a module, topics and tables"
        )


def _copy(source: Path, target: Path, name: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_named(source.read_text(), name))


def _named(text: str, name: str) -> str:
    title = "".join(word.capitalize() for word in name.split("_"))
    text = text.replace("StarterRecord", title)
    return text.replace("STARTER", name.upper()).replace("starter", name)
