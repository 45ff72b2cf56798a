"""The code blocks of docs/operators.md run, one after the other, as a reader would."""

import re

from tests.repository_files import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_code_on_the_page_runs() -> None:
    page = (ROOT / "docs" / "operators.md").read_text()
    blocks = BLOCK.findall(page)
    names: dict[str, object] = {}

    for block in blocks:
        exec(compile(block, "docs/operators.md", "exec"), names)  # noqa: S102 (it is our own page)

    assert len(blocks) >= 4
