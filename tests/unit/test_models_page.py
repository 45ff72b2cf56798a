"""docs/models.md tells the truth: its step is the graph's, and its test runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

from agents.contest_direction import contest_direction
from agents.direction.choice import CHOICE_BY_INSTRUMENT
from agents.direction.shadow import ShadowRule
from headrace import Step
from headrace.inference import read_contract
from headrace.testing import TestDriver
from schemas import topics
from tests.repository_files import ROOT
from topologies.trading_challenger import CONTEST, TOPOLOGY

PAGE = (ROOT / "docs" / "models.md").read_text()
STEP, TEST = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(block: str, **names: Any) -> dict[str, Any]:
    exec(compile(block, "docs/models.md", "exec"), names)  # noqa: S102  (our own page)
    return names


def test_the_step_is_that_of_the_graph() -> None:
    found = run(
        STEP,
        Step=Step,
        Path=Path,
        t=topics,
        contest_direction=contest_direction,
        CHOICE_BY_INSTRUMENT=CHOICE_BY_INSTRUMENT,
        ShadowRule=ShadowRule,
    )["CONTEST"]

    assert found == CONTEST
    assert CONTEST in TOPOLOGY.steps


def test_its_test_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    run(TEST, TestDriver=TestDriver)["test_the_challenger_takes_over_at_a_time"]()


def test_the_models_it_names_are_those_of_the_step() -> None:
    assert CONTEST.model is not None
    contracts = [read_contract(ROOT / path) for path in (CONTEST.model, *CONTEST.challengers)]
    names = {f"{each.name}.v{each.version}" for each in contracts}

    assert set(re.findall(r"--use (\S+)", PAGE)) == names
