"""What a reset may forget, and what it leaves in the changelog."""

import msgspec
import numpy as np
import pytest

from headrace.cli.options import names_of
from headrace.errors import TopologyError, UsageError
from headrace.kafka.fetched import RawPart
from headrace.project import Project
from headrace.state.pages import page_bytes
from headrace.state.snapshot import Snapshot
from headrace.state.store import CHECKPOINT_KEY, Checkpoint
from headrace.topology import Topology
from headrace.versions.orders import before_gateways
from headrace.versions.places import EARLIEST, LATEST, parse_where
from headrace.versions.reset import require_no_orders
from tests.repository_files import ROOT

TABLE = "owner.row_by_key.v1"
MARKER = msgspec.json.encode(Checkpoint(number=4, offsets={"a": 7}))


def page(key: str) -> bytes:
    return page_bytes(TABLE, key, 0)


def snapshot_of(*records: tuple[bytes, bytes | None]) -> Snapshot:
    found = Snapshot()
    offsets = np.arange(len(records))
    names, values = zip(*records, strict=True)
    found.apply(RawPart("log", 0, list(values), list(names), offsets, offsets))
    return found


@pytest.fixture
def gateway_graph() -> Topology:
    return Project(ROOT).topology("trading_gateway")


def test_pages_count_once_a_checkpoint_follows_them() -> None:
    found = snapshot_of(
        (page("a"), b"1"), (page("b"), b"1"), (CHECKPOINT_KEY, MARKER),
        (page("a"), None), (CHECKPOINT_KEY, MARKER), (page("c"), b"1"),
    )  # fmt: skip

    assert found.pages == {page("b"): b"1"}
    assert found.open_pages == {page("c"): b"1"}
    assert found.checkpoint == Checkpoint(number=4, offsets={"a": 7})


def test_changes_delete_every_page_that_is_not_wanted_and_repeat_none_that_is() -> None:
    found = snapshot_of(
        (page("a"), b"1"), (page("b"), b"1"), (CHECKPOINT_KEY, MARKER), (page("c"), b"1")
    )

    changes = found.changes_to({page("b"): b"1", page("d"): b"2"})

    assert changes == {TABLE: {("a", 0): None, ("c", 0): None, ("d", 0): b"2"}}


def test_page_behind_the_last_checkpoint_is_written_again_where_it_is_wanted() -> None:
    found = snapshot_of((page("a"), b"1"), (CHECKPOINT_KEY, MARKER), (page("a"), b"2"))

    assert found.changes_to({page("a"): b"1"}) == {TABLE: {("a", 0): b"1"}}


def test_checkpoint_that_is_none_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="expected a checkpoint"):
        snapshot_of((CHECKPOINT_KEY, b"{"))


@pytest.mark.parametrize("where", [EARLIEST, LATEST])
def test_step_that_hands_a_gateway_its_orders_is_never_reset(
    gateway_graph: Topology, where: str
) -> None:
    with pytest.raises(
        UsageError, match=r"step execution: it writes venue.order.v1, which gateway"
    ):
        require_no_orders(gateway_graph, ["execution"], where)


def test_step_that_leads_to_a_gateway_is_reset_to_the_end_only(gateway_graph: Topology) -> None:
    with pytest.raises(UsageError, match="step decision: what it wrote again would reach"):
        require_no_orders(gateway_graph, ["decision"], EARLIEST)
    with pytest.raises(UsageError, match="step ingest"):
        require_no_orders(gateway_graph, ["ingest"], 1_700_000_000_000)

    require_no_orders(gateway_graph, ["decision", "ingest"], LATEST)


def test_graph_without_gateways_leads_to_none() -> None:
    assert before_gateways(Project(ROOT).topology("trading")) == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("latest", "latest"),
        ("2026-03-01T12:00:00Z", 1_772_366_400_000),
        ("2026-03-01T13:00:00.250+01:00", 1_772_366_400_250),
        ("2026-03-01 12:00", 1_772_366_400_000),
    ],
)
def test_place_is_a_word_or_a_time_that_is_utc_unless_it_says(text: str, found: object) -> None:
    assert parse_where(text, "--from", (EARLIEST, LATEST)) == found


@pytest.mark.parametrize("text", ["", "now", "yesterday", "17"])
def test_place_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--from: expected earliest, latest or a time"):
        parse_where(text, "--from", (EARLIEST, LATEST))


def test_steps_are_named_with_commas_and_known(gateway_graph: Topology) -> None:
    assert names_of(gateway_graph, "ingest, features") == ("ingest", "features")
    assert len(names_of(gateway_graph, None)) == len(gateway_graph.steps)
    with pytest.raises(TopologyError, match="no step 'featurs'"):
        names_of(gateway_graph, "featurs")
