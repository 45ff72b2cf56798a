"""Commands as a person types them, and the dead letters that tell of records nobody could use."""

import contextlib
import io
import os
from collections.abc import Sequence

import structlog
import typer
import typer.exceptions
import typer.main

from headrace import limits
from headrace.cli import app
from headrace.cli.connect import ENDPOINTS_FILE, read_endpoints
from headrace.errors import UsageError
from headrace.project import Project
from headrace.runtime.chain import Dead
from headrace.runtime.dead_letters import headers_of
from headrace.servers.home import Home, _process
from tests.fuzz.mutation import JSON_TOKEN, ODD_JSON, ODD_NUMBERS, TEXT_TOKEN, Mutator
from tests.fuzz.scratch import new_folder
from tests.fuzz.target import ROOT, Check, Target, require

COMMAND = "graph"
"""What a line is given to: it starts no server and writes nothing."""

OWN_HEADERS = 6


def _open_lines() -> Check:
    command = typer.main.get_command(app)

    def check(records: Sequence[bytes]) -> None:
        os.chdir(ROOT)
        for record in records:
            words = record.replace(b"\0", b"").decode("utf-8", "surrogateescape").split(" ")
            told = io.StringIO()
            try:
                with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
                    command.main([COMMAND, *words], standalone_mode=False)
            except (typer.exceptions.TyperException, typer.Exit, typer.Abort, UsageError):
                continue

    return check


def _topologies(records: Sequence[bytes]) -> None:
    """A topology's name leads to a module of the project, or nowhere."""
    project = Project(ROOT)
    for record in records:
        name = record.decode("utf-8", "surrogateescape")
        try:
            found = project.topology(name)
        except UsageError:
            require(name not in project.names(), f"{name} is there")
            continue
        require(name in project.names() and found.name, f"{name!r} is not there")


def _open_notes() -> Check:
    """What a home remembers of its servers, whatever became of the files."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    folder = new_folder()
    home = Home(folder)

    def check(records: Sequence[bytes]) -> None:
        for record in records:
            (folder / "servers.json").write_bytes(record)
            (folder / ENDPOINTS_FILE).write_bytes(record)
            said = home.remembered("kafka")
            require(isinstance(said, dict), "no facts")
            _process(said.get("pid"), said.get("started"))
            with contextlib.suppress(UsageError):
                read_endpoints(folder)
            for aside in folder.glob("*.broken-*"):
                aside.unlink()

    return check


def _letters(records: Sequence[bytes]) -> None:
    """Headers are text that fits, behind those that the record had."""
    for number, record in enumerate(records):
        text = record.decode("utf-8", "replace")
        before = [("trace", record)] if number % 2 else []
        letter = Dead(
            "step", "market.frame.v1", 0, number, record, None, before, text[:40], text
        )  # fmt: skip
        headers = list(headers_of(letter))
        require(headers[: len(before)] == before, "a header of the record's got lost")
        ours = dict(headers[len(before) :])
        require(len(ours) == OWN_HEADERS, f"{sorted(ours)}")
        said = ours["headrace-detail"].decode()
        require(len(said) <= limits.DETAIL_CHARACTERS_MAX, "a detail without a limit")
        require(text.startswith(said), "another detail")


_WORDS = (
    b"trading", b"--project", b"--format", b"svg", b"json", b"mermaid", b"-", b"--", b"..", b"/",
    b"__init__", b".", b"topologies.trading", b" ", b"=", b"\xff", b"\n", b"*",
)  # fmt: skip
_NOTES = (
    b'{"kafka":{"port":20001,"pid":4194304,"started":1700000000.5},"redis":{"port":20002}}',
    b'{"pid":4194304,"kafka":"127.0.0.1:1","postgres":"postgresql://x","redis":"redis://x"}',
)
_MUTATOR = Mutator(TEXT_TOKEN, (*ODD_NUMBERS, *_WORDS), _WORDS)
TARGETS = [
    Target("command_lines", "a line", _open_lines,
           lambda: (b"trading", b"trading --format svg", b"trading --project .", b"--help", b""),
           _MUTATOR, 10, 32),
    Target("topology_names", "a name", lambda: _topologies,
           lambda: (b"trading", b"__init__", b"nothing", b"..trading", b"trading.py"), _MUTATOR,
           100, 64),
    Target("home_notes", "a file", _open_notes, lambda: _NOTES,
           Mutator(JSON_TOKEN, ODD_JSON, (b'"pid"', b'"port"', b'"kafka"')), 100, 64),
    Target("dead_letters", "a letter", lambda: _letters,
           lambda: (b"expected a number, found \xe2\x82\xac" * 120, b"short", b"\xff" * 3_000),
           _MUTATOR, 100),
]  # fmt: skip
