"""The files of this repository as tests read them: names, texts, syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "headrace",
    "schemas",
    "models",
    "agents",
    "feeds",
    "gateways",
    "proofs",
    "topologies",
)
CODE = (*PACKAGES, "tests", "benchmarks")


@cache
def tracked() -> tuple[str, ...]:
    """Return the names of the repository's files; without git, of all files of its folders."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = [name for name in listed.split("\0") if name]
    else:
        found = [
            str(path.relative_to(ROOT))
            for folder in (*CODE, "docs", "infra")
            for path in (ROOT / folder).rglob("*")
            if "__pycache__" not in path.parts
        ]
    return tuple(name for name in sorted(found) if (ROOT / name).is_file())


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each text file, or of those with these endings."""
    for name in tracked():
        if not suffixes or name.endswith(suffixes):
            content = (ROOT / name).read_bytes()
            if b"\0" not in content:
                yield name, content.decode(errors="replace")


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each Python file in these folders."""
    for name, text in texts(".py"):
        if name.split("/")[0] in folders:
            yield name, text


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield name and syntax tree of each Python file in these folders."""
    for name, text in sources(*folders):
        yield name, parsed(text)


@cache
def parsed(text: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(text)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has, its docstring not counted."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or 0) - docstring.lineno + 1)
