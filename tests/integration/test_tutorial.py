"""docs/tutorial.md to the letter, in an empty folder: blocks are run, or written to their files."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.repository_files import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(
    r'^```(\w+)(?: title="([^"]+)")?(?: (\w+))?\n(.*?)^```$', re.DOTALL | re.MULTILINE
)
RUN_S_MAX = 300


@dataclass(frozen=True)
class Block:
    """A block of the page: shell to run, or the text of a file."""

    language: str
    title: str
    mark: str
    text: str


def blocks() -> Iterator[Block]:
    for language, title, mark, text in BLOCK.findall(PAGE.read_text()):
        yield Block(language, title, mark, text)


@pytest.mark.slow  # two minutes; `make test-tutorial`
@pytest.mark.timeout(900)
def test_the_tutorial_works_to_the_letter(tmp_path: Path) -> None:
    # As a person's shell would: `cd` holds for the blocks that follow.
    folder = tmp_path
    ran = written = 0
    for block in blocks():
        if block.language == "sh":
            folder = run(block, folder)
            ran += 1
        else:
            write(block, folder)
            written += 1

    assert (ran, written) == (10, 5)
    assert (folder / "runs" / "second" / "report.html").is_file()
    assert len((folder / "averages.csv").read_text().splitlines()) == 1 + 10_000
    assert len((folder / "ranges.csv").read_text().splitlines()) == 1 + 10_000


def run(block: Block, folder: Path) -> Path:
    """Run a block of shell; return the folder it ends in."""
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-c", f"set -eu\n{block.text}\npwd > {folder}/.pwd"],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "PYTEST_"))}
        | {"PATH": os.pathsep.join(paths), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    told = f"{block.text}\n{done.stdout}\n{done.stderr}"
    assert (done.returncode != 0) == (block.mark == "fails"), told
    return folder if block.mark == "fails" else Path((folder / ".pwd").read_text().strip())


def write(block: Block, folder: Path) -> None:
    """Write or lengthen the file a block is titled after."""
    path = folder / block.title
    before = path.read_text() if block.mark == "append" else ""
    path.write_text(before + block.text)
