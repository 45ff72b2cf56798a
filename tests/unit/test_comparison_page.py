"""docs/comparison.md shows code that runs: each block stands in the file that its title names."""

import re
import textwrap

import pytest

from tests.repository_files import ROOT

PAGE = (ROOT / "docs" / "comparison.md").read_text()
BLOCKS = re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE)


def told(text: str) -> list[str]:
    """Return the lines that say something: a formatter sets blank ones by where a block stands."""
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(("path", "code"), BLOCKS, ids=[path for path, _ in BLOCKS])
def test_a_block_stands_in_its_file(path: str, code: str) -> None:
    lines = told((ROOT / path).read_text())
    wanted = told(code)

    starts = [place for place, line in enumerate(lines) if line.strip() == wanted[0].strip()]

    assert any(
        textwrap.dedent("\n".join(lines[start : start + len(wanted)])) == "\n".join(wanted)
        for start in starts
    ), f"{path} has changed: copy the block into docs/comparison.md again"


def test_every_framework_has_its_code() -> None:
    folders = {"/".join(path.split("/")[:3]) for path, _ in BLOCKS}

    assert {name.rsplit("/", 1)[-1] for name in folders} == {
        *("faust_job.py", "kafka_streams", "quix_job.py", "bytewax_job.py", "vwap")
    }
