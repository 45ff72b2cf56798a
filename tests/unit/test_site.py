"""The site's table of contents has every page, and reference pages name what there is."""

import importlib
import re

import pytest

from tests.repository_files import ROOT

DOCS = ROOT / "docs"
REFERENCES = sorted((DOCS / "reference").glob("*.md"))


def test_every_page_is_in_the_table_of_contents() -> None:
    _, nav = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")
    named = re.findall(r"(\S+\.md)$", nav, re.MULTILINE)

    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", REFERENCES, ids=lambda page: page.stem)
def test_a_reference_names_what_there_is(page: object) -> None:
    text = page.read_text()  # type: ignore[attr-defined]
    (name,) = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    module = importlib.import_module(name)

    assert [
        member
        for member in re.findall(r"^ +- (\w+)$", text, re.MULTILINE)
        if not hasattr(module, member)
    ] == []
