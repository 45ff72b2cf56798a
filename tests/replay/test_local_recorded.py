"""The trading graph over a whole recording without Kafka: the same bytes however it is cut."""

from collections import defaultdict
from pathlib import Path

import pyarrow as pa

from headrace.byte_column import ByteColumn
from headrace.feed import FeedOptions
from headrace.local.graph import LocalGraph
from headrace.local.loading import load_codecs, load_steps
from headrace.local.replay import replay
from headrace.local.task import Watch
from headrace.project import Project
from headrace.testing import TestDriver
from proofs.rows import Tables
from topologies.trading import TOPOLOGY

ROOT = Path(__file__).parents[2]
RECORDING = "spot_ethusdt_20240808.gz"
"""The smallest of them."""
FRAMES = 33_618


def values_of(feed: str, batch_records: int | None) -> dict[tuple[str, int], bytes]:
    """Return what each partition of each topic holds, value after value."""
    project = Project(ROOT)
    codecs = load_codecs(project.schemas, TOPOLOGY.topics)
    found: dict[tuple[str, int], list[bytes]] = defaultdict(list)

    def keep(topic: str, partition: int, values: ByteColumn) -> None:
        found[topic, partition] += [value or b"" for value in values]

    graph = LocalGraph(load_steps(project, TOPOLOGY.steps, codecs), codecs, Watch(values=keep))
    source = TOPOLOGY.source
    opened = source.open(feed, FeedOptions())
    for _ in replay(opened, graph, codecs[source.topic.name], batch_records):
        pass
    assert graph.records[source.topic.name] == FRAMES
    return {place: b"".join(values) for place, values in found.items()}


def test_every_topic_is_the_same_bytes_however_the_recording_is_cut(shared_data: Path) -> None:
    feed = f"capture:{shared_data / 'binance' / RECORDING}"

    whole, cut = values_of(feed, 8_192), values_of(feed, 777)

    assert {topic for topic, _ in whole} >= {"order.request.v1", "order.event.v1", "position.v1"}
    assert [place for place in whole if whole[place] != cut.get(place)] == []
    assert whole.keys() == cut.keys()


def test_the_invariants_of_the_proof_hold_of_a_recording(shared_data: Path) -> None:
    """As `headrace faults` holds them of a run on Kafka."""
    read = {topic.name for each in TOPOLOGY.proof.invariants for topic in each.reads}
    driver = TestDriver(TOPOLOGY, project=ROOT, keep=read)
    driver.feed(f"capture:{shared_data / 'binance' / RECORDING}")
    tables: dict[str, pa.Table] = {name: driver.read(name, places=True) for name in read}

    assert tables["order.event.v1"].num_rows > 100
    assert broken(tables) == {}


def broken(tables: Tables) -> dict[str, list[str]]:
    """Return by invariant what is not as it says."""
    found = {each.name: list(each.check(tables)) for each in TOPOLOGY.proof.invariants}
    return {name: said for name, said in found.items() if said}
