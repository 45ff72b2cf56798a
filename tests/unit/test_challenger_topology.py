"""The trading graph with a challenger, over a simulated market, in process."""

import pyarrow.compute as pc

from headrace.faults.same_stream import same_streams
from headrace.local.timing import timed_runs
from headrace.runtime.chain import fused
from headrace.testing import TestDriver
from headrace.topology import Topology
from tests.unit.test_contest_direction import CHALLENGER, CHAMPION, PREDICTIONS, SHADOWS
from topologies.trading import TOPOLOGY as TRADING
from topologies.trading_challenger import TOPOLOGY

FEED = "sim:2?events=600&seed=7&start=1700000000000000000"
HALFWAY = "2023-11-14T22:13:22"
HALFWAY_NS = 1_700_000_002_000_000_000


def bytes_of(driver: TestDriver, topic: str) -> dict[int, list[bytes | None]]:
    found: dict[int, list[bytes | None]] = {}
    for part in driver.read_parts(topic):
        found.setdefault(part.partition, []).extend(part.values)
    return found


def fed(
    topology: Topology,
    *,
    word: dict[str, str] | None = None,
    fuse: bool = True,
    batch_records: int | None = None,
) -> TestDriver:
    driver = TestDriver(topology, fuse=fuse)
    if word is not None:
        driver.say("model", word)
    driver.feed(FEED, batch_records=batch_records)
    return driver


def test_a_challenger_changes_nothing_that_the_trading_graph_does() -> None:
    alone, contested = fed(TRADING), fed(TOPOLOGY)

    for topic in (each.name for each in TRADING.topics):
        assert bytes_of(contested, topic) == bytes_of(alone, topic), topic
    assert contested.read(SHADOWS).num_rows == contested.records[PREDICTIONS] > 0


def test_a_swap_by_time_is_the_same_bytes_fused_and_split_and_cut_otherwise() -> None:
    word = {"use": CHALLENGER, "from": HALFWAY}
    whole = fed(TOPOLOGY, word=word)
    others = [fed(TOPOLOGY, word=word, fuse=False), fed(TOPOLOGY, word=word, batch_records=7)]

    for topic in (PREDICTIONS, SHADOWS, "order.request.v1"):
        expected = bytes_of(whole, topic)
        assert expected
        assert all(bytes_of(other, topic) == expected for other in others)
    found = fed(TOPOLOGY, word=word).read(PREDICTIONS)
    late = pc.greater_equal(found.column("receive_time_ns"), HALFWAY_NS)
    assert set(found.filter(late).column("model").to_pylist()) == {CHALLENGER}
    assert set(found.filter(pc.invert(late)).column("model").to_pylist()) == {CHAMPION}


def test_what_may_be_said_leaves_the_graph_decided_and_led_through_no_more_time() -> None:
    fields = {t.name: ("account", "instrument", "source") for t in TOPOLOGY.topics}

    assert set(same_streams(TOPOLOGY, fields)) == {
        *same_streams(TRADING, {t.name: fields[t.name] for t in TRADING.topics}),
        SHADOWS,
    }
    assert timed_runs(fused(TOPOLOGY.steps)) == timed_runs(fused(TRADING.steps))
    assert [[step.name for step in run] for run in fused(TOPOLOGY.steps)] == [
        [step.name for step in run] for run in fused(TRADING.steps)
    ]
