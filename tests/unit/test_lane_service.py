"""When the engine reads on: at once while it is behind, else when what it has is processed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Event

import pytest

from headrace import limits
from headrace.errors import HeadraceError, InvariantError, TransientError
from headrace.runtime.app import LaneService, make_app
from headrace.runtime.work import Work
from headrace.up.processes import free_port

WAIT_S = 10


class NotedReads:
    """A lane whose reads bring the work it is given, in turn, and whose processing waits."""

    name = "lane"
    reading = processing = None

    def __init__(self, brought: list[Work]) -> None:
        self.brought = brought
        self.reads = 0
        self.may_finish = Event()

    def start(self) -> None:
        """Join nothing."""

    def read(self) -> Work:
        self.reads += 1
        return self.brought[min(self.reads, len(self.brought)) - 1]

    def handle(self, work: Work) -> None:  # noqa: ARG002  (the lane's)
        assert self.may_finish.wait(WAIT_S)


class ToOne(asyncio.Queue[Work]):
    """A channel to the one agent of a lane."""

    async def send(self, *, value: Work) -> None:
        await self.put(value)


async def work_of_the_first_lane(folder: Path) -> object:
    """Return what the agent of a lane hears if a second lane starts after it was sent its work."""
    app = make_app("app", folder, free_port())
    lanes = [LaneService(app, NotedReads([])) for _ in range(2)]  # type: ignore[arg-type]  # fakes
    for number, lane in enumerate(lanes):
        lane.lane.name = f"lane-{number}"
    first, second = lanes
    listener = aiter(first.channel)
    await first.on_start()
    await asyncio.wait_for(first.channel.send(value="work"), WAIT_S)
    await second.on_start()
    return (await asyncio.wait_for(anext(listener), WAIT_S)).value


async def nothing() -> AsyncIterator[Work]:
    """Yield nothing, for ever."""
    await asyncio.Event().wait()
    yield Work()


async def read_for_a_while(lane: NotedReads, folder: Path) -> int:
    """Return how many reads there were while the first work was still in progress."""
    service = LaneService(make_app("app", folder, free_port()), lane)  # type: ignore[arg-type]  # a fake
    service.channel = channel = ToOne(limits.CHANNEL_BATCHES_MAX)
    reading = asyncio.ensure_future(LaneService._read.fun(service))
    await asyncio.sleep(0.1)
    assert lane.reads == 0, "what is sent before the agent listens is lost"
    listening = asyncio.ensure_future(service._agent()(nothing()))
    first = await asyncio.wait_for(channel.get(), WAIT_S)
    handling = asyncio.ensure_future(service._handle(first))
    await asyncio.sleep(0.2)
    reads = lane.reads
    lane.may_finish.set()
    await asyncio.wait_for(handling, WAIT_S)
    await asyncio.wait_for(channel.get(), WAIT_S)  # it goes on
    reading.cancel()
    listening.cancel()
    return reads


async def stop_while_busy(lane: NotedReads, folder: Path) -> int:
    """Return how many reads there were when the service was stopped as its first work went on."""
    service = LaneService(make_app("app", folder, free_port()), lane)  # type: ignore[arg-type]  # a fake
    service.channel = channel = ToOne(limits.CHANNEL_BATCHES_MAX)
    reading = asyncio.ensure_future(LaneService._read.fun(service))
    listening = asyncio.ensure_future(service._agent()(nothing()))
    first = await asyncio.wait_for(channel.get(), WAIT_S)
    handling = asyncio.ensure_future(service._handle(first))
    await asyncio.sleep(0.2)
    service._stopped.set()  # the engine's: from now on the lane lets go of its consumer
    lane.may_finish.set()
    await asyncio.wait_for(handling, WAIT_S)
    await asyncio.wait_for(reading, WAIT_S)
    listening.cancel()
    return lane.reads


def test_a_lane_that_starts_later_loses_no_work_of_those_before(tmp_path: Path) -> None:
    assert asyncio.run(work_of_the_first_lane(tmp_path)) == "work"


async def stuck_without_its_work(folder: Path) -> list[float]:
    """Return how long a lane says it is stuck: at first, with lost work, and once that is done."""
    service = LaneService(make_app("app", folder, free_port()), NotedReads([Work()]))  # type: ignore[arg-type]  # a fake
    service.channel = channel = ToOne(limits.CHANNEL_BATCHES_MAX)
    found = [service.stuck_s]
    reading = asyncio.ensure_future(LaneService._read.fun(service))
    listening = asyncio.ensure_future(service._agent()(nothing()))
    lost = await asyncio.wait_for(channel.get(), WAIT_S)
    await asyncio.sleep(0.1)
    found.append(service.stuck_s)
    reading.cancel()
    service.lane.may_finish.set()  # type: ignore[attr-defined]  # the fake's
    await service._handle(lost)
    listening.cancel()
    return [*found, service.stuck_s]


def test_a_lane_whose_work_is_lost_says_that_it_is_stuck(tmp_path: Path) -> None:
    first, lost, done = asyncio.run(stuck_without_its_work(tmp_path))

    assert first == done == 0.0
    assert lost >= 0.1


def test_a_lane_that_stops_is_not_read_from_any_more(tmp_path: Path) -> None:
    assert asyncio.run(stop_while_busy(NotedReads([Work()]), tmp_path)) == 1


def test_near_the_end_of_the_log_the_next_read_gathers_what_comes_meanwhile(
    tmp_path: Path,
) -> None:
    assert asyncio.run(read_for_a_while(NotedReads([Work()]), tmp_path)) == 1


def test_a_lane_that_is_behind_reads_ahead(tmp_path: Path) -> None:
    lane = NotedReads([Work(is_behind=True), Work()])

    assert asyncio.run(read_for_a_while(lane, tmp_path)) == 2


class Failing(NotedReads):
    """A lane whose work, and whose last commit, fail."""

    def __init__(self, error: HeadraceError) -> None:
        super().__init__([])
        self.error = error

    def handle(self, work: Work) -> None:  # noqa: ARG002  (the lane's)
        raise self.error

    def stop(self) -> None:
        raise self.error


def failing(error: HeadraceError, folder: Path) -> LaneService:
    return LaneService(make_app("app", folder, free_port()), Failing(error))  # type: ignore[arg-type]  # a fake


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the signals a worker sends, instead of sending them."""
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: sent.append(number))
    return sent


def test_a_lane_that_fails_ends_its_worker(tmp_path: Path, signals: list[int]) -> None:
    service = failing(TransientError("Kafka stays away"), tmp_path)

    asyncio.run(service._handle(Work()))

    assert service.app.failure is service.lane.error  # type: ignore[attr-defined]  # the fake's
    assert signals == [signal.SIGTERM]


def test_a_worker_that_was_told_to_end_does_not_fail_of_an_outage(
    tmp_path: Path, signals: list[int]
) -> None:
    service = failing(TransientError("Kafka stays away"), tmp_path)
    service.app._stopped.set()

    asyncio.run(service._handle(Work()))
    asyncio.run(service.on_stop())

    assert service.app.failure is None
    assert not service.is_drained
    assert signals == []


def test_a_bug_is_a_failure_whenever_it_is_met(tmp_path: Path, signals: list[int]) -> None:
    service = failing(InvariantError("a position without fills"), tmp_path)
    service.app._stopped.set()

    asyncio.run(service._handle(Work()))

    assert service.app.failure is service.lane.error  # type: ignore[attr-defined]  # the fake's
    assert signals == [signal.SIGTERM]
    with pytest.raises(InvariantError):
        asyncio.run(service.on_stop())
