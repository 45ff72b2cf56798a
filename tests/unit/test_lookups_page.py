"""The code blocks of docs/lookups.md run, with the sample project's agent at hand."""

import importlib
import re

import pytest

from headrace import Step, Topic
from headrace.project import Project
from tests.repository_files import ROOT
from tests.sample_project import as_only_project

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_code_on_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = BLOCK.findall((ROOT / "docs" / "lookups.md").read_text())
    with as_only_project():
        topology = Project(ROOT / "tests" / "projects" / "enrich").topology("enrich")
        agent = importlib.import_module("agents.price_trades")
        (priced,) = topology.steps[0].writes
        names: dict[str, object] = {"Topic": Topic, "Step": Step, "PRICED": priced}
        names |= vars(agent)

        for block in blocks:
            exec(compile(block, "docs/lookups.md", "exec"), names)  # noqa: S102 (it is our own page)

    assert len(blocks) == 2


def test_the_topics_of_the_picture_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "lookups.md").read_text()
    (picture,) = re.findall(r"^```mermaid\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    first, _ = BLOCK.findall(page)
    names: dict[str, object] = {"Topic": Topic}
    exec(first.partition("\nStep(")[0], names)  # noqa: S102  (it is our own page)
    topics = [topic for topic in names.values() if isinstance(topic, Topic)]

    drawn = re.findall(r"\[/([\w.]+)/\]", picture)

    assert [topic.name for topic in topics if topic.reference] == drawn[:1]
    assert [topic.name for topic in topics if not topic.reference] == drawn[1:2]
