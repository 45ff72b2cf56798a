"""docs/versions.md tells the truth: its test runs as it stands."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from headrace.project import Project
from headrace.versions.versioned import versioned
from tests.repository_files import ROOT

PAGE = (ROOT / "docs" / "versions.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_its_test_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/versions.md", "exec"), names)  # noqa: S102  (our own page)
    tests: list[Callable[[], None]] = [v for n, v in names.items() if n.startswith("test_")]

    assert len(tests) == 1
    for test in tests:
        test()


def test_the_names_it_shows_are_those_of_a_version() -> None:
    topology = versioned(Project(ROOT).topology("candles"), "next")
    names = {topic.name for topic in topology.topics} | {topic.dead for topic in topology.topics}

    shown = set(re.findall(r"`([a-z.]+\.v1\.next(?:\.dead)?)`", PAGE))

    assert shown
    assert shown <= names
