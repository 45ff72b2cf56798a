"""Every block of code on every page is run or held against the code by some test.

Pages whose blocks take more than a line to run have a test module of their own (`TESTED_IN`); the
short ones are run here, and so are all commands and all pictures.
"""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
import typer.main

import headrace
from agents.trading.order_state import END_STATES, REPORT_KINDS, advance, order_of
from feeds import open_feed
from gateways import open_rest_venue
from headrace.cli import app as command_line
from headrace.feed import FeedOptions
from headrace.project import Project
from headrace.topology import Topology
from schemas import topics
from tests.repository_files import ROOT, texts
from tests.sample_project import as_only_project
from tests.unit.test_execute_orders import approval, report
from topologies.trading import TOPOLOGY as TRADING
from topologies.trading_gateway import TOPOLOGY as TRADING_GATEWAY

HERE = "tests/unit/test_pages.py"
TESTED_IN = {
    "README.md python": HERE,
    "README.md mermaid": HERE,
    "docs/STYLE.md python": HERE,
    "docs/comparison.md java": "tests/unit/test_comparison_page.py",
    "docs/comparison.md python": "tests/unit/test_comparison_page.py",
    "docs/faults.md python": HERE,
    "docs/feeds.md toml": HERE,
    "docs/gateways.md python": HERE,
    "docs/lookups.md mermaid": "tests/unit/test_lookups_page.py",
    "docs/lookups.md python": "tests/unit/test_lookups_page.py",
    "docs/models.md python": "tests/unit/test_models_page.py",
    "docs/models.md sql": "tests/integration/test_sink_tables.py",
    "docs/operators.md python": "tests/unit/test_operators_page.py",
    "docs/risk.md mermaid": HERE,
    "docs/sinks.md sql": "tests/integration/test_sink_tables.py",
    "docs/testing.md python": "tests/unit/test_testing_page.py",
    "docs/tutorial.md json": "tests/integration/test_tutorial.py",
    "docs/tutorial.md python": "tests/integration/test_tutorial.py",
    "docs/versions.md python": "tests/unit/test_versions_page.py",
}
"""By page and language; the commands of all pages are looked up here."""

SHELL = {"", "sh", "bash"}


class Block(NamedTuple):
    """What stands between two fences of a page."""

    page: str
    language: str
    code: str


def blocks_of(page: str, text: str) -> Iterator[Block]:
    """Yield what stands between fences; the words after a language are its title."""
    for language, code in re.findall(
        r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        yield Block(page, language, code)


BLOCKS = [block for page, text in texts(".md") for block in blocks_of(page, text)]


def only_block(page: str, language: str) -> str:
    (block,) = (each.code for each in BLOCKS if (each.page, each.language) == (page, language))
    return block


def test_every_block_has_its_test() -> None:
    found = {f"{each.page} {each.language}" for each in BLOCKS if each.language not in SHELL}

    assert found == TESTED_IN.keys()
    for where, module in TESTED_IN.items():
        page = Path(where.split()[0]).name
        assert page in (ROOT / module).read_text(), f"{module} does not name {page}"
    assert len(commands()) > 30  # else nothing would be looked up below


def commands() -> list[tuple[str, str]]:
    """Return the command lines of headrace by page, without comments; goes on after a backslash."""
    lines = [
        (block.page, line.partition(" #")[0].strip())
        for block in BLOCKS
        if block.language in SHELL
        for line in block.code.replace("\\\n", " ").splitlines()
    ]
    return [(page, line) for page, line in lines if line.startswith("headrace ")]


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_and_its_options_are_there(page: str, line: str) -> None:
    command: Any = typer.main.get_command(command_line)
    words = line.split()[1:]
    while hasattr(command, "get_command"):
        name = words.pop(0)
        command = command.get_command(None, name)
        assert command is not None, f"{page}: {line}: there is no {name}"

    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    if command.name == "control":
        topology, control = words[:2]
        known |= {f"--{name}" for name in Project(ROOT).topology(topology).control(control).options}
    said = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert said <= known, f"{page}: {line}"


def test_readme_shows_the_sample() -> None:
    with as_only_project():
        sample = Project(ROOT / "tests" / "projects" / "vwap").topology("vwap")
        (step,) = sample.steps
        names: dict[str, Any] = {
            "Topology": headrace.Topology,
            "Source": headrace.Source,
            "Step": headrace.Step,
            "open_feed": open_feed,
            "running_vwap": step.agent,
            "VWAP_BY_SYMBOL": step.table,
            "TICK": sample.source.topic,
            "VWAP": step.writes[0],
        }
        exec(only_block("README.md", "python"), names)  # noqa: S102  (our own page)

        assert names["TOPOLOGY"].steps == sample.steps


def test_style_shows_a_comment_that_stands_in_the_code() -> None:
    shown = only_block("docs/STYLE.md", "python")

    assert any(shown in text for _, text in texts(".py"))


def test_the_proof_on_the_faults_page_opens_its_feed_and_tells() -> None:
    names: dict[str, Any] = {
        "Proof": headrace.Proof,
        "Invariant": headrace.Invariant,
        "TRADE": topics.TRADE,
        "VENUE_REPORT": topics.VENUE_REPORT,
    }
    exec(only_block("docs/faults.md", "python"), names)  # noqa: S102  (our own page)
    proof: headrace.Proof = names["PROOF"]
    assert proof.feed is not None

    blocks = open_feed(proof.feed(1.5), FeedOptions()).blocks({})
    trades = {topics.TRADE.name: pa.table({"price_ticks": [5, -1]})}

    assert sum(len(block.payloads) for block in blocks) > 0
    assert list(proof.invariants[0].check(trades)) == ["price -1"]


def test_the_gateway_on_its_page_is_that_of_the_graph() -> None:
    names = {"Gateway": headrace.Gateway, "t": topics, "open_rest_venue": open_rest_venue}

    shown = eval(only_block("docs/gateways.md", "python"), names)  # noqa: S307  (our own page)

    assert (shown,) == TRADING_GATEWAY.gateways


def test_the_mapping_on_the_feeds_page_reads_a_table(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(only_block("docs/feeds.md", "toml"))
    (tmp_path / "quotes.csv").write_text(
        "ts_utc_us,symbol,bid,ask\n1398920401787000,EURUSD,1.38720,1.38729\n"
    )

    feed = open_feed(f"table:{tmp_path}/quotes.csv?map={tmp_path}/map.toml", FeedOptions())

    (block,) = feed.blocks({})
    (frame,) = block.payloads
    assert json.loads(frame)["instrument"] == "table:EURUSD"


def arrows(picture: str) -> set[tuple[str, str]]:
    """Return from what to what the arrows of a flowchart lead, by the names that are shown."""
    labels = dict(re.findall(r"\b(\w+)[\[({/]+([\w. ]+?)[/\])}]+", picture))
    bare = re.sub(r"\b(\w+)[\[({/]+[\w. ]+[/\])}]+", r"\1", picture)
    found = set()
    for line in bare.splitlines()[1:]:
        ends = [labels.get(name, name) for name in re.split(r"\s*-->\s*", line.strip())]
        found |= set(pairwise(ends))
    return found


def order_moves() -> set[tuple[str, str, str]]:
    """Return from where to where, and by which report, an order is moved."""
    reports = [("ACKNOWLEDGED", 0), ("FILLED", 1), ("FILLED", 2), ("CANCELED", 0), ("REJECTED", 0)]
    starts = [("SENT", 0), ("ACKNOWLEDGED", 0), ("PARTIALLY_FILLED", 1)]
    found = set()
    for state, filled_lots in starts:
        for kind, lots in reports:
            order = order_of(approval(1, quantity_lots=2 + filled_lots), "order")
            order.state, order.filled_lots = state, filled_lots
            if advance(order, report(approval(1), 1, kind, lots)):
                found.add((state, order.state, kind))
    return found


def test_the_life_of_an_order_is_drawn_as_it_goes() -> None:
    (picture,) = (
        each.code for each in BLOCKS if each.page == "docs/risk.md" and "stateDiagram" in each.code
    )
    lines = re.findall(r"^  (\S+) --> (\S+?)(?:: (.*))?$", picture, re.MULTILINE)
    shown = {
        (start, end, kind)
        for start, end, said in lines
        if "[*]" not in {start, end}
        for kind in REPORT_KINDS
        if kind in said
    }

    assert len(lines) == len(picture.splitlines()) - 1
    assert shown == order_moves()
    assert {start for start, end, _ in lines if end == "[*]"} == END_STATES
    assert {end for start, end, _ in lines if start == "[*]"} == {"SENT", "REJECTED"}


def edges(topology: Topology, *, by_agent: bool) -> set[tuple[str, str]]:
    """Return what each step reads and writes, steps by their own or by their agents' names."""
    found = set()
    for step in topology.steps:
        name = step.agent.__name__ if by_agent else step.name
        found |= {(topic.name, name) for topic in step.reads}
        found |= {(name, topic.name) for topic in step.writes}
    return found


@pytest.mark.parametrize(("page", "by_agent"), [("README.md", False), ("docs/risk.md", True)])
def test_a_picture_has_no_arrow_that_the_graph_has_not(page: str, by_agent: bool) -> None:
    pictures = [each.code for each in BLOCKS if (each.page, each.language) == (page, "mermaid")]
    shown = arrows(next(code for code in pictures if code.startswith("flowchart")))
    graph = edges(TRADING, by_agent=by_agent)

    from_outside = {("feed", TRADING.source.topic.name)}
    assert len(shown) > 10
    assert shown - graph - from_outside == set()
