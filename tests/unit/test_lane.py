"""What a lane does with state that is wanted, and then not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from queue import SimpleQueue
from threading import Event

import numpy as np
import pyarrow as pa
import pytest

from headrace.batch import Part
from headrace.kafka.fetched import Offsets, Place
from headrace.runtime import lane as lane_module
from headrace.runtime.chain import Dead
from headrace.runtime.lane import Lane
from headrace.runtime.work import Work

WAIT_S = 10


class SlowProcessor:
    """Restores a unit when it is let to; notes what it did, and what it was told to be lost."""

    def __init__(self) -> None:
        self.begun = Event()
        self.may_go_on = Event()
        self.restored: list[int] = []
        self.discarded: list[int] = []
        self.told: list[int] = []

    def restore(self, unit: int, is_lost: Callable[[], bool]) -> int:
        self.begun.set()
        assert self.may_go_on.wait(WAIT_S)
        self.restored.append(unit)
        if is_lost():
            self.told.append(unit)
        return unit

    def discard(self, restored: int) -> None:
        self.discarded.append(restored)


@pytest.fixture
def processor() -> SlowProcessor:
    return SlowProcessor()


@pytest.fixture
def lane(processor: SlowProcessor) -> Iterator[Lane]:
    nobody = None
    lane = Lane(
        "lane",
        intake=nobody,  # type: ignore[arg-type]  # restoring asks nothing of it
        processor=processor,  # type: ignore[arg-type]  # a fake
        commit_interval_s=0.1,
    )
    yield lane
    for threads in (lane.reading, lane.processing, lane.restoring):
        threads.shutdown(wait=True)


def test_unit_that_is_lost_before_its_restore_began_is_never_restored(
    lane: Lane, processor: SlowProcessor
) -> None:
    """It would fence the next owner, who is at work by then."""
    lane.restore(0)
    lost = lane.restore(1)
    assert processor.begun.wait(WAIT_S)

    lane.discard(lost)
    processor.may_go_on.set()
    lane.restoring.shutdown(wait=True)

    assert processor.restored == [0]
    assert processor.discarded == []


def test_unit_that_is_lost_while_it_is_restored_is_told_so_and_released(
    lane: Lane, processor: SlowProcessor
) -> None:
    """Whose claim it reads then is the next owner's."""
    lost = lane.restore(0)
    assert processor.begun.wait(WAIT_S)

    lane.discard(lost)
    processor.may_go_on.set()
    lane.restoring.shutdown(wait=True)

    assert processor.told == [0]
    assert processor.discarded == [0]


def test_unit_that_is_kept_is_not_taken_for_lost(lane: Lane, processor: SlowProcessor) -> None:
    processor.may_go_on.set()

    assert lane.restore(0).result(WAIT_S) == 0
    assert processor.told == []


class NotedCommits:
    """Processes anything, at once; notes how it was asked to commit."""

    def __init__(self, *, holds_back: bool) -> None:
        self.holds_back = holds_back
        self.is_dirty = True
        self.commits = 0

    def process(self, parts: Sequence[Part], dead: Sequence[Dead], read_to: Offsets) -> None:
        """Take it."""

    def held_records(self) -> dict[Place, int]:
        return {}

    def commit(self, group: object) -> Offsets:  # noqa: ARG002  (the protocol's)
        self.commits += 1
        return {}


class NoIntake:
    """As far as a lane that processes asks for it."""

    group = None
    held: Mapping[Place, int]
    record_s: float

    def __init__(self) -> None:
        self.untold: SimpleQueue[Offsets] = SimpleQueue()

    def note_dead(self, dead: Sequence[Dead]) -> None:
        """Take it."""


@pytest.mark.parametrize(
    ("holds_back", "is_behind", "commits"),
    [
        pytest.param(True, False, 1, id="others wait for it, and nothing more waits: soon"),
        pytest.param(True, True, 0, id="more waits: at the interval"),
        pytest.param(False, False, 0, id="others have it already: at the interval"),
    ],
)
def test_commit_is_early_only_where_others_wait_for_it(
    holds_back: bool, is_behind: bool, commits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.limits.COMMIT_GAP_S", 0.0)
    processor = NotedCommits(holds_back=holds_back)
    lane = Lane(
        "lane",
        intake=NoIntake(),  # type: ignore[arg-type]  # a fake
        processor=processor,  # type: ignore[arg-type]  # a fake
        commit_interval_s=60.0,
    )

    lane.handle(Work((), (), {("t", 0): 1}, {}, is_behind))

    assert processor.commits == commits


def test_an_intake_learns_what_a_record_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks_s = count()
    monkeypatch.setattr(lane_module, "monotonic", lambda: float(next(ticks_s)))
    intake = NoIntake()
    lane = Lane(
        "lane",
        intake=intake,  # type: ignore[arg-type]  # a fake
        processor=NotedCommits(holds_back=True),  # type: ignore[arg-type]  # a fake
        commit_interval_s=60.0,
    )
    numbers = np.arange(4)
    records = pa.record_batch({"number": numbers})
    part = Part("t", 0, records, [b""] * 4, [b""] * 4, numbers, numbers)

    lane.handle(Work((part,), (), {("t", 0): 4}, {}, is_behind=True))

    assert intake.record_s == 1 / 4
    lane.handle(Work((), (), {("t", 0): 5}, {}, is_behind=True))
    assert intake.record_s == 1 / 4  # of no records nothing is learnt
