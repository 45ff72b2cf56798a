"""When the engine reads on: at once while it is behind, else when what it has is processed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
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

    def __init__(self, brought: list[Work]) -> None:
        self.brought = brought
        self.reads = 0
        self.handled: list[Work] = []
        self.may_finish = Event()
        self.reading = ThreadPoolExecutor(1)
        self.processing = ThreadPoolExecutor(1)

    def start(self) -> None:
        """Join nothing."""

    def read(self) -> Work:
        self.reads += 1
        return self.brought[min(self.reads, len(self.brought)) - 1]

    def handle(self, work: Work) -> None:
        assert self.may_finish.wait(WAIT_S)
        self.handled.append(work)


class Stream:
    """What an agent reads: a channel's queue; `is_lossy` keeps what is put there from it."""

    def __init__(self, *, is_lossy: bool = False) -> None:
        self.channel = self
        self.queue: asyncio.Queue[Work] = asyncio.Queue(limits.CHANNEL_BATCHES_MAX)
        self.is_lossy = is_lossy

    async def __aiter__(self) -> AsyncIterator[Work]:
        while True:
            work = await self.queue.get()
            if not self.is_lossy:
                yield work


class Running:
    """A service that reads and whose agent listens, once it is entered."""

    def __init__(self, lane: NotedReads, folder: Path, *, is_lossy: bool = False) -> None:
        self.lane = lane
        self.stream = Stream(is_lossy=is_lossy)
        self.service = LaneService(make_app("app", folder, free_port()), lane)  # type: ignore[arg-type]  # a fake

    async def __aenter__(self) -> LaneService:
        await self.service.on_start()
        self.reading = asyncio.ensure_future(LaneService._read.fun(self.service))
        await asyncio.sleep(0.1)
        assert self.lane.reads == 0, "what is sent before the agent listens is lost"
        self.listening = asyncio.ensure_future(self.service._agent()(self.stream))
        return self.service

    async def __aexit__(self, *_: object) -> None:
        self.service._stopped.set()
        self.lane.may_finish.set()
        await asyncio.wait_for(self.reading, WAIT_S)
        self.listening.cancel()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that other threads bring about."""
    for _ in range(100 * WAIT_S):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def work_of_the_first_lane(folder: Path) -> object:
    """Return what the agent of a lane hears if a second lane starts after it was sent its work."""
    app = make_app("app", folder, free_port())
    lanes = [LaneService(app, NotedReads([])) for _ in range(2)]  # type: ignore[arg-type]  # fakes
    for number, lane in enumerate(lanes):
        lane.lane.name = f"lane-{number}"
    first, second = lanes
    listener = aiter(first.channel)
    await first.on_start()
    listener.queue.put_nowait("work")
    await second.on_start()
    return await asyncio.wait_for(anext(listener), WAIT_S)


async def reads_for_a_while(lane: NotedReads, folder: Path) -> tuple[int, int]:
    """Return how many reads there were while the first work was in progress, and after it."""
    async with Running(lane, folder):
        await until(lambda: lane.reads > 0)
        await asyncio.sleep(0.2)
        reads = lane.reads
        lane.may_finish.set()
        await until(lambda: lane.reads > reads)
        return reads, lane.reads


async def reads_of_a_stopped_lane(lane: NotedReads, folder: Path) -> int:
    """Return how many reads there were when the service was stopped as its first work went on."""
    async with Running(lane, folder):
        await until(lambda: lane.reads > 0)
    return lane.reads


async def stuck_without_its_work(folder: Path) -> list[float]:
    """Return how long a lane says it is stuck: at first, with lost work, and once that is done."""
    lane = NotedReads([Work()])
    async with Running(lane, folder, is_lossy=True) as service:
        found = [service.turns.stuck_s]
        await until(lambda: lane.reads > 0)
        await asyncio.sleep(0.1)
        found.append(service.turns.stuck_s)
        service._stopped.set()
        lane.may_finish.set()
        await asyncio.to_thread(service._process, Work())
        return [*found, service.turns.stuck_s]


def test_a_lane_that_starts_later_loses_no_work_of_those_before(tmp_path: Path) -> None:
    assert asyncio.run(work_of_the_first_lane(tmp_path)) == "work"


def test_a_lane_whose_work_is_lost_says_that_it_is_stuck(tmp_path: Path) -> None:
    first, lost, done = asyncio.run(stuck_without_its_work(tmp_path))

    assert first == done == 0.0
    assert lost >= 0.1


def test_a_lane_that_stops_is_not_read_from_any_more(tmp_path: Path) -> None:
    assert asyncio.run(reads_of_a_stopped_lane(NotedReads([Work()]), tmp_path)) == 1


def test_near_the_end_of_the_log_the_next_read_gathers_what_comes_meanwhile(
    tmp_path: Path,
) -> None:
    during, after = asyncio.run(reads_for_a_while(NotedReads([Work()]), tmp_path))

    assert during == 1
    assert after > 1


def test_a_lane_that_is_behind_reads_ahead_as_far_as_it_may(tmp_path: Path) -> None:
    behind = NotedReads([Work(is_behind=True)])
    caught_up = NotedReads([Work(is_behind=True), Work()])

    assert asyncio.run(reads_for_a_while(behind, tmp_path))[0] == limits.CHANNEL_BATCHES_MAX
    assert asyncio.run(reads_for_a_while(caught_up, tmp_path))[0] == 2


def test_work_is_processed_in_the_order_it_was_read(tmp_path: Path) -> None:
    brought = [Work(read_to={("topic", 0): number}, is_behind=True) for number in range(3)]
    lane = NotedReads(brought)

    asyncio.run(reads_for_a_while(lane, tmp_path))

    assert lane.handled[:3] == brought


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


async def process_in(service: LaneService) -> None:
    """Have a service process something, and hear what comes of it."""
    await service.on_start()
    await asyncio.to_thread(service._process, Work())
    await asyncio.sleep(0)


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the signals a worker sends, instead of sending them."""
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: sent.append(number))
    return sent


def test_a_lane_that_fails_ends_its_worker(tmp_path: Path, signals: list[int]) -> None:
    service = failing(TransientError("Kafka stays away"), tmp_path)

    asyncio.run(process_in(service))

    assert service.app.failure is service.lane.error  # type: ignore[attr-defined]  # the fake's
    assert signals == [signal.SIGTERM]


def test_a_worker_that_was_told_to_end_does_not_fail_of_an_outage(
    tmp_path: Path, signals: list[int]
) -> None:
    service = failing(TransientError("Kafka stays away"), tmp_path)
    service.app._stopped.set()

    asyncio.run(process_in(service))
    asyncio.run(service.on_stop())

    assert service.app.failure is None
    assert not service.is_drained
    assert signals == []


def test_a_bug_is_a_failure_whenever_it_is_met(tmp_path: Path, signals: list[int]) -> None:
    service = failing(InvariantError("a position without fills"), tmp_path)
    service.app._stopped.set()

    asyncio.run(process_in(service))

    assert service.app.failure is service.lane.error  # type: ignore[attr-defined]  # the fake's
    assert signals == [signal.SIGTERM]
    with pytest.raises(InvariantError):
        asyncio.run(service.on_stop())
