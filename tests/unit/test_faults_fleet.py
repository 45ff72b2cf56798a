"""Who is in a fleet, whom faults may strike there, and which input a trial runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.errors import UsageError
from headrace.faults import limits
from headrace.faults.fleet import lane_plans
from headrace.faults.prove import Trial, choose_feed, roster_of, span_of
from headrace.feed import FeedTally, FrameBlock
from headrace.project import Project
from headrace.topology import Topology
from tests.repository_files import ROOT
from topologies.trading import TOPOLOGY

SECOND_NS = 1_000_000_000


class FakeFeed:
    """Frames at the given seconds, block by block."""

    identity = "fake"

    def __init__(self, *blocks: list[float]) -> None:
        self.tally = FeedTally()
        self.counts = self.tally.dropped
        self._blocks = blocks

    def blocks(self, resume_after: dict[str, int]) -> Iterator[FrameBlock]:
        del resume_after
        for block in self._blocks:
            count = len(block)
            times = np.array([int(each * SECOND_NS) for each in block], np.int64)
            zeros = np.zeros(count, np.int64)
            names = [""] * count
            yield FrameBlock(names, names, zeros, times, zeros, zeros, names)


def trial(topology: Topology = TOPOLOGY, **chosen: Any) -> Trial:
    return Trial(Project(ROOT), topology, Path("home"), 60.0, 5, **chosen)


def test_every_run_of_fused_steps_has_its_workers_and_every_sink_one() -> None:
    names = [name for plan in lane_plans(TOPOLOGY, 2) for name in plan.names]

    assert names == [
        "ingest-1",
        "ingest-2",
        "features+inference+decision-1",
        "features+inference+decision-2",
        "risk+execution-1",
        "risk+execution-2",
        "venue-1",
        "venue-2",
        "sink-postgres-1",
        "sink-redis-1",
    ]


def test_a_quiet_run_is_one_process_that_does_everything() -> None:
    (plan,) = lane_plans(TOPOLOGY, 0)

    assert plan.options == ()
    assert plan.names == ("everything-1",)


def test_faults_may_strike_all_that_a_topology_has_and_nothing_it_has_not() -> None:
    roster = roster_of(TOPOLOGY, 2)

    assert roster.servers == ("kafka", "postgres", "redis")
    assert roster.repeatable == ("venue.report.v1",)
    assert roster.source == "market.frame.v1"
    assert roster.drill == "halt"
    assert roster.lane_of("ingest-2") == "ingest"
    assert roster.lane_of("kafka") == "kafka"


def test_the_topologys_own_feed_outlasts_the_faults() -> None:
    choice = choose_feed(trial())

    assert choice.text.startswith("sim:")
    assert choice.speed == "0.5"


def test_another_feed_is_paced_to_outlast_the_trials_time() -> None:
    choice = choose_feed(trial(feed="sim:1?seed=3&start=0&rate=10&events=1200"))

    assert 0.5 < float(choice.speed) < 2.0, "about 120 s of market, in 120 s"


def test_a_feeds_span_is_from_its_first_frame_to_its_last() -> None:
    assert span_of(FakeFeed([1.0, 2.0], [], [4.5]), "fake") == 3.5


def test_an_empty_feed_is_refused() -> None:
    with pytest.raises(UsageError, match="expected frames, found none"):
        span_of(FakeFeed([]), "fake")


def test_a_feed_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FEED_FRAMES_MAX", 3)

    with pytest.raises(UsageError, match="expected at most 3 frames"):
        span_of(FakeFeed(*[[1.0]] * 5), "fake")


def test_a_topology_without_a_feed_of_its_own_needs_one_named() -> None:
    bare = Topology("bare", TOPOLOGY.source, TOPOLOGY.steps)

    with pytest.raises(UsageError, match="expected a finite feed, found none"):
        choose_feed(trial(bare))
