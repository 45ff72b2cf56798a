"""A backtest that begins with the rows of a reference topic gives what the driver gives."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace import Batch, Output, Step, Topic, Topology
from headrace.backtest.run import as_json, run_backtest
from headrace.cli.backtest import _references
from headrace.errors import UsageError
from headrace.feed import FeedOptions
from headrace.operators import Lookup, ReferenceRows, operator_table
from headrace.project import Project
from headrace.state.tables import ObjectState
from headrace.testing import TestDriver
from tests.sample_project import as_only_project

FOLDER = Path(__file__).resolve().parents[1] / "projects" / "counting"
ROW = Topic(
    "reference.count.v1", "count.v1", key=("source",), partitions=4,
    cleanup="compact", reference=True,
)  # fmt: skip
SEEN = Topic("sample.seen.v1", "count.v1", key=("source",), partitions=4)
TOTALS = Lookup(
    ROW.name,
    key=("source",),
    row=pa.schema({"frames": pa.int64(), "total": pa.int64()}),
    missing="drop",
)
ROWS = [
    {"source": f"source-{n}", "sequence": 0, "frames": n, "total": 10 * n} for n in range(0, 8, 2)
]


def look_up(batch: Batch, state: ObjectState[ReferenceRows]) -> Output:
    """Return each frame's source with what its row says."""
    found = TOTALS.add(state.edit("totals"), batch)
    records = found.records.select(["source", "sequence", "frames", "total"])
    return Output({SEEN.name: records}, found.dead, found.counts)


@pytest.fixture
def graph() -> Iterator[tuple[Project, Topology]]:
    with as_only_project():
        project = Project(FOLDER)
        source = project.topology("counting").source
        table = operator_table("look_up.row_by_operator.v1", {"totals": TOTALS})
        step = Step("look", look_up, reads=(source.topic, ROW), writes=(SEEN,), table=table)
        yield project, Topology("looking", source, (step,))


def report(project: Project, topology: Topology, references: Mapping[str, Any]) -> dict[str, Any]:
    feed = topology.source.open("numbers:400", FeedOptions())
    done = run_backtest(project, topology, feed, lambda *_: None, references=references)
    return as_json(done, feed, "numbers:400")


def test_a_backtest_sees_the_rows_the_driver_does(graph: tuple[Project, Topology]) -> None:
    project, topology = graph
    driver = TestDriver(topology, project=project)
    driver.pipe(ROW, ROWS)
    driver.feed("numbers:400")

    found = report(project, topology, {ROW.name: ROWS})

    assert found["topics"][SEEN.name]["records"] == driver.records[SEEN.name] == 200
    assert found["topics"][SEEN.name]["digest"]
    assert found["counts"] == dict(driver.counts) == {"look.missing": 200}


def test_without_rows_all_are_missing(graph: tuple[Project, Topology]) -> None:
    assert report(*graph, {})["counts"] == {"look.missing": 400}


def test_rows_that_do_not_fit_and_other_topics_are_refused(graph: tuple[Project, Topology]) -> None:
    with pytest.raises(UsageError, match=r"row 0, key 'a'.*field frames"):
        report(*graph, {ROW.name: [{"source": "a", "sequence": 0, "total": 0}]})
    with pytest.raises(UsageError, match="expected a reference topic"):
        report(*graph, {"sample.seen.v1": ROWS})


def test_files_are_named_by_their_topics(graph: tuple[Project, Topology], tmp_path: Path) -> None:
    project, topology = graph
    path = tmp_path / "rows.csv"
    path.write_text("source,sequence,frames,total\nsource-1,0,1,10\n")

    assert _references(project, topology, [f"{ROW.name}={path}"]) == {
        ROW.name: [{"source": "source-1", "sequence": 0, "frames": 1, "total": 10}]
    }
    for text in (ROW.name, f"other={path}"):
        with pytest.raises(UsageError, match="TOPIC=FILE"):
            _references(project, topology, [text])
