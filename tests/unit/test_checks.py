"""Mistakes planted in a sound project, one at a time: each is found, and said how to mend."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.checks import Finding, check_project
from headrace.checks.project import record_schemas
from headrace.cli.check import app
from headrace.project import Project
from tests.repository_files import ROOT
from tests.sample_project import FILES, as_only_project, write

TOPOLOGY = "topologies/sample.py"
TOPICS = "schemas/topics.py"
TRADE = "schemas/avro/trade.v1.avsc"
BARS = "agents/bars.py"


@dataclass(frozen=True)
class Mistake:
    """What is put in place of what, in which file; the finding's rule, and words of it."""

    file: str
    old: str
    new: str
    rule: str
    words: tuple[str, ...]
    topic: str = ""
    """Put in place of TRADE's declaration, if it needs another."""


MISTAKES = {
    "module does not parse": Mistake(
        TOPOLOGY, "= Topology(", "= Topology((", "topology-loads", ("SyntaxError",)
    ),
    "import of what is not there": Mistake(
        TOPOLOGY, "agents.bars", "agents.bar", "topology-loads", ("No module named", "agents.bar")
    ),
    "no topology in its module": Mistake(
        TOPOLOGY, "TOPOLOGY =", "GRAPH =", "topology-loads", ("TOPOLOGY = Topology(",)
    ),
    "step named twice": Mistake(
        TOPOLOGY, '"bars",\n', '"read",\n', "topology-loads", ("twice",)
    ),
    "inputs of different partition counts": Mistake(
        TOPICS,
        '"trade.v1", key=("symbol",)',
        '"trade.v1", key=("symbol",), partitions=4',
        "topology-loads",
        ("s.trade.v1=4", "s.quote.v1=8"),
    ),
    "name unlike its file's": Mistake(
        TOPOLOGY, 'name="sample"', 'name="other"', "topology-name", ("sample", "other")
    ),
    "schema without a file": Mistake(
        TOPICS, '"trade.v1"', '"trades.v1"', "schema-loads", ("trades.v1.avsc", "add the file")
    ),
    "schema that is no JSON": Mistake(
        TRADE, '{"type": "record"', '{"type": record', "schema-loads", ("expected an Avro record",)
    ),
    "schema of a type no column carries": Mistake(
        TRADE,
        '"name": "price_ticks", "type": "long"',
        '"name": "price_ticks", "type": {"type": "map", "values": "long"}',
        "schema-loads",
        ("trade.v1", "price_ticks"),
    ),
    "key field that is not in the schema": Mistake(
        TOPICS,
        '"trade.v1", key=("symbol",)',
        '"trade.v1", key=("ticker",)',
        "key-field",
        ("ticker", "symbol"),
    ),
    "key field that may be null": Mistake(
        TOPICS,
        '"trade.v1", key=("symbol",)',
        '"trade.v1", key=("trade_id",)',
        "key-type",
        ("trade_id", "null"),
    ),
    "partitioned by what is not in the key": Mistake(
        TOPICS,
        '"trade.v1", key=("symbol",)',
        '"trade.v1", key=("symbol",), partition_by=("sequence",)',
        "partition-by",
        ("sequence", "stay together"),
    ),
    "topic declared in two ways": Mistake(
        TOPOLOGY,
        "reads=(t.TRADE, t.QUOTE)",
        'reads=(t.Topic("s.trade.v1", "trade.v1", key=("symbol",), cleanup="compact"), t.QUOTE)',
        "topic-twice",
        ("step read", "step bars", "cleanup"),
    ),
    "topic with a name Kafka refuses": Mistake(
        TOPICS, '"s.trade.v1"', '"s/trade"', "topic-name", ("s/trade",)
    ),
    "topics whose tables would be one": Mistake(
        TOPICS, '"s.trade.v1"', '"s_quote_v1"', "topic-alike", ("s.quote.v1", "s_quote_v1")
    ),
    "topic without partitions": Mistake(
        TOPICS,
        '"bar.v1", key=("symbol",)',
        '"bar.v1", key=("symbol",), partitions=0',
        "topic-partitions",
        ("found 0",),
    ),
    "compacted topic without a key": Mistake(
        TOPICS, '"bar.v1", key=("symbol",)', '"bar.v1", key=()', "topic-compact", ("key",)
    ),
    "two writers of one topic": Mistake(
        TOPOLOGY,
        "writes=(t.BAR,)",
        "writes=(t.BAR, t.FRAME)",
        "two-writers",
        ("the source", "step bars", 'writers="many"'),
    ),
    "step that says what operators say": Mistake(
        TOPICS, '"bar.v1", key=("symbol",)', '"bar.v1", key=("symbol",), spoken=True',
        "spoken-written", ("s.bar.v1", "step bars"),
    ),
    "word that comes after what it is about": Mistake(
        TOPOLOGY, "reads=(t.FRAME,)",
        'reads=(t.FRAME, t.Topic("s.word.v1", "bar.v1", key=("symbol",), spoken=True))',
        "spoken-first", ("step", "first in reads"),
    ),
    "step that writes what a load does": Mistake(
        TOPICS, '"bar.v1", key=("symbol",)', '"bar.v1", key=("symbol",), reference=True',
        "topology-loads", ("s.bar.v1", "step bars", "headrace reference load"),
    ),
    "rows that expire": Mistake(
        TOPOLOGY, "reads=(t.FRAME,)",
        'reads=(t.FRAME, t.Topic("s.row.v1", "bar.v1", key=("symbol",), reference=True))',
        "reference-compact", ("s.row.v1", 'cleanup="compact"'),
    ),
    "rows that operators say": Mistake(
        TOPOLOGY, "reads=(t.FRAME,)",
        'reads=(t.FRAME, t.Topic("s.row.v1", "bar.v1", key=("symbol",), cleanup="compact",'
        " reference=True, spoken=True))",
        "reference-spoken", ("s.row.v1", "topic of its own"),
    ),
    "challenger that is not there": Mistake(
        TOPOLOGY, 'Step("read", read,',
        'Step("read", lambda batch, model, challengers: None,'
        ' model=__import__("pathlib").Path("models/x"),'
        ' challengers=(__import__("pathlib").Path("models/y"),),',
        "model-contract", ("models/x, models/y",),
    ),
    "challengers of no model": Mistake(
        TOPOLOGY, 'Step("read", read,',
        'Step("read", read, challengers=(__import__("pathlib").Path("models/y"),),',
        "topology-loads", ("step read", "set model="),
    ),
    "agent that takes no challengers": Mistake(
        TOPOLOGY, 'Step("read", read,',
        'Step("read", lambda batch, model: None,'
        ' model=__import__("pathlib").Path("models/x"),'
        ' challengers=(__import__("pathlib").Path("models/y"),),',
        "agent-arguments", ("challengers",),
    ),
    "input that nobody writes": Mistake(
        TOPOLOGY, "writes=(t.TRADE, t.QUOTE)", "writes=(t.TRADE,)", "no-writer", ("s.quote.v1",)
    ),
    "sink of what nobody writes": Mistake(
        TOPOLOGY, "writes=(t.BAR,)", "writes=()", "no-writer", ("sink redis", "s.bar.v1")
    ),
    "inputs keyed by different fields": Mistake(
        TOPICS,
        '"quote.v1", key=("symbol",)',
        '"quote.v1", key=("sequence",)',
        "co-partition",
        ("s.trade.v1 by symbol", "s.quote.v1 by sequence", "repartition"),
    ),
    "step that reads what it writes": Mistake(
        TOPOLOGY,
        "writes=(t.BAR,)",
        "writes=(t.BAR, t.QUOTE)",
        "reads-own-output",
        ("for ever", "s.quote.v1"),
    ),
    "input named twice": Mistake(
        TOPOLOGY, "reads=(t.TRADE, t.QUOTE),", "reads=(t.TRADE, t.TRADE),",
        "reads-twice", ("s.trade.v1",),
    ),
    "merge of one input": Mistake(
        TOPOLOGY, "reads=(t.TRADE, t.QUOTE),", "reads=(t.TRADE,),",
        "merge-alone", ("found 1",),
    ),
    "merge by a field one input lacks": Mistake(
        TOPOLOGY, 'merge=("symbol",)', 'merge=("venue",)', "merge-field", ("venue", "quote.v1")
    ),
    "merge without a sequence": Mistake(
        TRADE, '"name": "sequence", "type": "long"', '"name": "sequence", "type": "string"',
        "merge-field", ("sequence", "type long"),
    ),
    "panel of a topic that keeps everything": Mistake(
        TOPOLOGY, 'Panel("bars", t.BAR', 'Panel("trades", t.TRADE', "panel-topic", ("compact",)
    ),
    "agent without an argument for its state": Mistake(
        BARS, "state: object, ", "", "agent-arguments", ("batch, size, state", "unexpected")
    ),
    "parameter the step does not give": Mistake(
        BARS, "size: int", "size: int, step: int", "agent-arguments", ("missing", "step")
    ),
    "agent that looks at the clock": Mistake(
        BARS, "import numpy as np", "import numpy as np\nfrom time import time_ns", "agent-impure",
        ("time", "from the records"),
    ),
    "table named after nothing": Mistake(
        BARS, "bars.bar_by_symbol.v1", "bars", "table-name", ("owner.noun_by_key.vN",)
    ),
    "two steps with one table": Mistake(
        TOPOLOGY,
        'Step("read", read, reads=(t.FRAME,),',
        'Step("read", lambda batch, state: None, table=TABLE, reads=(t.FRAME,),',
        "table-twice",
        ("read", "another table"),
    ),
    "step with a name no folder takes": Mistake(
        TOPOLOGY, 'Step("read"', 'Step("Read it"', "step-name", ("Read it",)
    ),
    "model that is not there": Mistake(
        TOPOLOGY, 'Step("read", read,',
        'Step("read", lambda batch, model: None, model=__import__("pathlib").Path("models/x"),',
        "model-contract", ("models/x",),
    ),
    "new field without a default": Mistake(
        TRADE, '{"name": "sequence"', '{"name": "venue", "type": "string"},\n  {"name": "sequence"',
        "schema-backward", ("field venue", "version 1", "give the new field a default"),
    ),
    "field of another type": Mistake(
        TRADE, '"name": "price_ticks", "type": "long"', '"name": "price_ticks", "type": "int"',
        "schema-backward", ("field price_ticks", "type mismatch"),
    ),
    "symbol taken out of an enum": Mistake(
        TRADE, '["BUY", "SELL"]', '["BUY"]', "schema-backward", ("field side", "symbols")
    ),
    "null no longer allowed": Mistake(
        TRADE, '"type": ["null", "long"], "default": null', '"type": "long"', "schema-backward",
        ("field trade_id",),
    ),
    "record of another name": Mistake(
        TRADE, '"name": "Trade"', '"name": "Deal"', "schema-backward", ("Deal is not Trade",)
    ),
    "field taken away where old readers need it": Mistake(
        TRADE, '  {"name": "price_ticks", "type": "long"},\n', "", "schema-forward",
        ("field price_ticks", "FULL"), topic='"trade.v1", compatibility="FULL", key=',
    ),
    "change that was not recorded": Mistake(
        TRADE, '"name": "price_ticks", "type": "long"', '"name": "price_ticks", "type": "double"',
        "schema-unrecorded", ("headrace check --record",),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    write(folder, FILES)
    with as_only_project():
        record_schemas(Project(folder))
    return folder


def check(folder: Path) -> list[Finding]:
    with as_only_project():
        return check_project(Project(folder))


def test_a_sound_project_has_no_findings(sound: Path) -> None:
    assert check(sound) == []


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found_and_said_how_to_mend(
    mistake: Mistake, sound: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(sound, folder, ignore=shutil.ignore_patterns("__pycache__"))
    edit(folder / mistake.file, mistake.old, mistake.new)
    if mistake.topic:
        edit(folder / TOPICS, '"trade.v1", key=', mistake.topic)

    found = [finding for finding in check(folder) if finding.rule == mistake.rule]

    told = " ".join(finding.text() for finding in found)
    assert found, f"expected a finding of {mistake.rule}"
    assert [word for word in mistake.words if word not in told] == [], told
    assert all(finding.mend for finding in found)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_rule_of_all_versions_looks_further_back_than_the_last(tmp_path: Path) -> None:
    """What version 1 wrote is in the log still, whatever version 2 dropped."""
    write(tmp_path, FILES)
    edit(tmp_path / TOPICS, '"trade.v1", key=', '"trade.v1", compatibility="NONE", key=')
    path = tmp_path / TRADE
    first = path.read_text()
    with as_only_project():
        record_schemas(Project(tmp_path))
    edit(path, '  {"name": "price_ticks", "type": "long"},\n', "")
    with as_only_project():
        record_schemas(Project(tmp_path))
    path.write_text(
        first.replace(
            '"price_ticks", "type": "long"', '"price_ticks", "type": "string", "default": ""'
        )
    )

    rules = {}
    for rule in ("BACKWARD", "BACKWARD_TRANSITIVE"):
        edit(
            tmp_path / TOPICS,
            'compatibility="NONE"' if rule == "BACKWARD" else 'compatibility="BACKWARD"',
            f'compatibility="{rule}"',
        )
        rules[rule] = {finding.rule for finding in check(tmp_path)}

    assert rules == {
        "BACKWARD": {"schema-unrecorded"},
        "BACKWARD_TRANSITIVE": {"schema-backward"},
    }


def test_a_schema_that_was_deployed_is_not_lost_unseen(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(sound, folder)
    (folder / "schemas" / "history" / "old.v1").mkdir()

    assert [finding.rule for finding in check(folder)] == ["schema-gone"]


def test_the_command_tells_findings_and_fails(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(sound, folder)
    edit(folder / BARS, "bars.bar_by_symbol.v1", "bars")

    with as_only_project():
        told = CliRunner().invoke(app, ["sample", f"--project={folder}"])

    assert told.exit_code == 1
    assert f"{TOPOLOGY}: step bars, table bars: expected owner.noun_by_key.vN" in told.output
    assert "1 topologies checked (sample), 1 findings" in told.output


def test_this_project_is_sound() -> None:
    assert [finding.text() for finding in check_project(Project(ROOT))] == []


def test_every_rule_is_on_its_page() -> None:
    told = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", (ROOT / "docs" / "checking.md").read_text()))
    source = "".join(path.read_text() for path in (ROOT / "headrace" / "checks").glob("*.py"))
    rules = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)",', source))

    assert rules
    assert rules == told
