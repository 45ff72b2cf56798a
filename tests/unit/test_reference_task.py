"""From where a task reads its reference topics once its state is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.local.loading import load_codecs, load_steps
from headrace.project import Project
from headrace.runtime.chain import LoadedStep
from headrace.runtime.task import open_task
from headrace.runtime.topics import plans
from headrace.state.store import Checkpoint, Store
from headrace.topology import Topology
from tests.sample_project import as_only_project

FOLDER = Path(__file__).resolve().parents[1] / "projects" / "enrich"
TRADE, INSTRUMENT = "sample.trade.v1", "reference.instrument.v1"
TABLE = "price_trades.row_by_operator.v1"


@pytest.fixture
def topology() -> Iterator[Topology]:
    with as_only_project():
        yield Project(FOLDER).topology("enrich")


@pytest.fixture
def steps(topology: Topology) -> list[LoadedStep]:
    project = Project(FOLDER)
    codecs = load_codecs(project.schemas, topology.topics)
    return [*load_steps(project, topology.steps, codecs).values()]


@pytest.mark.parametrize(("table", "offset"), [(TABLE, 9), ("price_trades.row_by_operator.v0", 0)])
def test_a_table_that_is_new_is_filled_from_the_beginning_of_its_reference_topic(
    steps: list[LoadedStep], tmp_path: Path, table: str, offset: int
) -> None:
    checkpoint = Checkpoint(number=3, offsets={TRADE: 7, INSTRUMENT: 9}, layouts={table: "x"})
    store = Store(tmp_path)

    task = open_task(steps, 0, store, checkpoint)

    assert task.checkpoint.offsets == {TRADE: 7, INSTRUMENT: offset}
    assert task.read_to == task.checkpoint.offsets
    assert task.checkpoint.number == 3
    store.close()


def test_a_task_without_a_checkpoint_begins_where_its_group_does(
    steps: list[LoadedStep], tmp_path: Path
) -> None:
    store = Store(tmp_path)

    assert open_task(steps, 0, store, Checkpoint()).checkpoint.offsets == {}
    store.close()


def test_tombstones_of_a_reference_topic_are_kept_for_a_month(topology: Topology) -> None:
    configs = {plan.name: plan.config for plan in plans(topology)}

    assert configs[INSTRUMENT]["cleanup.policy"] == "compact"
    assert int(configs[INSTRUMENT]["delete.retention.ms"]) == 30 * 24 * 3_600_000
    assert "delete.retention.ms" not in configs[TRADE]
