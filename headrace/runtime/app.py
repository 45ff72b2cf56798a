"""Faust, with its data path replaced: one event is one batch, read and written by librdkafka."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import faust
import structlog
from faust.app.base import BootStrategy
from mode import Service
from mode.utils.objects import cached_property

from headrace import limits
from headrace.kafka.consumer import Offsets
from headrace.runtime.lane import Lane, Work
from headrace.runtime.metrics import exposition
from headrace.runtime.stats import Stats

log = structlog.get_logger(__name__)

POLL_S = 0.05
"""How long a read waits for the first record: how late an idle lane notices a commit is due."""


class LaneBoot(BootStrategy):
    """Starts sensors, web, agents and the lanes, in place of Faust's consumer and tables."""

    enable_kafka = False

    def server(self) -> Iterable[Any]:
        """Return the services of a worker, in the order they start."""
        return chain(self.sensors(), self.web_server(), self.agents(), self.app.lane_services)


class HeadraceApp(faust.App):
    """A Faust app whose agents are fed by lanes."""

    BootStrategy = LaneBoot
    lane_services: list["LaneService"]
    failure: Exception | None = None

    @cached_property
    def stats(self) -> Stats:
        """Return what the steps of this process have done."""
        return Stats()


class LaneService(Service):
    """Moves work from a lane's reading thread through a Faust agent to its processing thread."""

    def __init__(self, app: HeadraceApp, lane: Lane, **options: Any) -> None:
        super().__init__(**options)
        self.app = app
        self.lane = lane
        self.channel = app.channel(maxsize=limits.CHANNEL_BATCHES_MAX)
        self._reading = ThreadPoolExecutor(1, f"read-{lane.name}")
        self._processing = ThreadPoolExecutor(1, f"process-{lane.name}")
        self._in_flight = 0
        self.has_joined = False
        self._settled = asyncio.Event()
        app.agent(self.channel, name=lane.name)(self._agent())

    def _agent(self) -> Callable[..., Any]:
        async def agent(stream: AsyncIterator[Work]) -> None:
            async for work in stream:
                await self._handle(work)

        agent.__name__ = self.lane.name
        return agent

    async def on_start(self) -> None:
        """Join the consumer group; without this Faust's channels stay shut."""
        self._settled.set()
        self.app.flow_control.resume()
        loop = asyncio.get_running_loop()
        self.lane.consumer.subscribe(
            self.lane.topics,
            partial(self._on_assign),
            partial(self._on_revoke, loop),
        )

    @Service.task
    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.should_stop:
            try:
                work = await loop.run_in_executor(self._reading, self.lane.read, POLL_S)
            except Exception as error:  # noqa: BLE001  (the engine's supervisor: nothing is hidden)
                await self._crash_loudly(error)
                return
            self._in_flight += 1
            self._settled.clear()
            await self.channel.send(value=work)

    async def _handle(self, work: Work) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._processing, self.lane.handle, work)
        except Exception as error:  # noqa: BLE001  (the engine's supervisor: nothing is hidden)
            await self._crash_loudly(error)
        finally:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._settled.set()

    async def _crash_loudly(self, error: Exception) -> None:
        """Stop the whole worker: a pod that does half its work hides the other half."""
        log.critical("lane_failed", lane=self.lane.name, error=str(error), exc_info=error)
        if self.app.failure is None:
            self.app.failure = error
            os.kill(os.getpid(), signal.SIGTERM)

    def _on_assign(self, places: Sequence[tuple[str, int]]) -> Offsets:
        log.info("partitions_assigned", lane=self.lane.name, partitions=len(places))
        starts = self.lane.processor.assigned(places)
        self.has_joined = True
        return starts

    def _on_revoke(
        self, loop: asyncio.AbstractEventLoop, places: Sequence[tuple[str, int]]
    ) -> None:
        # Runs in the reading thread, inside a poll: what was read before is in the channel or the
        # agent, and has to be finished and committed before another owner may start.
        log.info("partitions_revoked", lane=self.lane.name, partitions=len(places))
        if not self.should_stop:
            waiting = asyncio.run_coroutine_threadsafe(self._settled.wait(), loop)
            waiting.result(limits.DRAIN_TIMEOUT_S)
            self._processing.submit(self.lane.commit).result(limits.DRAIN_TIMEOUT_S)
        self.lane.processor.revoked(places)
        self.lane.forget(places)

    async def on_stop(self) -> None:
        """Finish the batch at hand, commit, leave the group."""
        loop = asyncio.get_running_loop()
        self.lane.drain()
        # Before the consumer closes: a closing one answers nobody.
        await loop.run_in_executor(self._processing, self.lane.commit)
        await loop.run_in_executor(self._reading, self.lane.consumer.close)
        self._reading.shutdown(wait=True)
        self._processing.shutdown(wait=True)
        self.lane.processor.close()


def make_app(name: str, folder: Path, web_port: int) -> HeadraceApp:
    """Return an app without lanes; its web server listens on the loopback."""
    datadir = folder / "faust" / name
    datadir.mkdir(parents=True, exist_ok=True)
    app = HeadraceApp(
        name,
        broker="kafka://127.0.0.1",  # required by Faust, never connected to
        datadir=str(datadir),
        store="memory://",
        topic_disable_leader=True,
        web_bind="127.0.0.1",
        web_port=web_port,
        web_host="127.0.0.1",
        stream_buffer_maxsize=limits.CHANNEL_BATCHES_MAX,
    )
    app.lane_services = []
    _add_pages(app)
    return app


def add_lane(app: HeadraceApp, lane: Lane) -> None:
    """Run a lane as one of the app's agents."""
    app.lane_services.append(LaneService(app, lane))


def run_worker(app: HeadraceApp) -> None:
    """Run the app under Faust's worker until a signal ends it.

    Raises:  what made a lane fail, once everything is shut down.
    """
    worker = faust.Worker(app, loglevel="WARN", quiet=True, override_logging=False)
    with contextlib.suppress(SystemExit):
        worker.execute_from_commandline()
    if app.failure is not None:
        raise app.failure


def _add_pages(app: HeadraceApp) -> None:
    @app.page("/headrace/stats/")
    async def stats(web: Any, request: Any) -> Any:  # noqa: ARG001  (Faust's signature)
        return web.json(app.stats.as_json() | {"is_ready": is_ready(app)})

    @app.page("/metrics")
    async def metrics(web: Any, request: Any) -> Any:  # noqa: ARG001  (Faust's signature)
        return web.text(exposition(app.stats), content_type="text/plain")

    @app.page("/ready")
    async def ready(web: Any, request: Any) -> Any:  # noqa: ARG001  (Faust's signature)
        ready = is_ready(app)
        return web.json({"is_ready": ready}, status=200 if ready else 503)


def is_ready(app: HeadraceApp) -> bool:
    """Return whether every lane has joined its group and none has failed."""
    return app.failure is None and all(lane.has_joined for lane in app.lane_services)
