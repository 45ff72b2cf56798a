"""docs/testing.md tells the truth: its blocks are run as they stand."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.repository_files import ROOT

PAGE = ROOT / "docs" / "testing.md"


def page_tests() -> dict[str, Callable[[], None]]:
    """Return the tests of the page by name."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102  (our own page)
    return {name: value for name, value in names.items() if name.startswith("test_")}


TESTS = page_tests()


def test_the_page_has_tests() -> None:
    assert len(TESTS) >= 3


@pytest.mark.parametrize("name", sorted(TESTS))
def test_of_the_page_holds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    TESTS[name]()
