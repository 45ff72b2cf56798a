"""Faust, with its data path replaced: one event is one batch, read and written by our clients."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import faust
import structlog
import uvloop
from faust.app.base import BootStrategy
from mode import Service
from mode.utils.objects import cached_property

from headrace import limits
from headrace.errors import HeadraceError, TransientError, UsageError
from headrace.runtime.lane import Lane
from headrace.runtime.metrics import exposition
from headrace.runtime.stats import Stats
from headrace.runtime.turns import Turns
from headrace.runtime.work import Work

log = structlog.get_logger(__name__)

WATCH_S = 5.0
"""How often a lane is looked at."""

EXIT_STUCK = 70
"""The exit code of a worker whose batch never ended: an internal error, as sysexits.h has it."""


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
        self.turns = Turns()
        self.is_drained = False
        self._is_heard = asyncio.Event()
        app.agent(self.channel, name=lane.name)(self._agent())

    def _agent(self) -> Callable[..., Any]:
        async def agent(stream: faust.Stream[Work]) -> None:
            self._inbox = stream.channel.queue
            self._is_heard.set()
            async for work in stream:
                # Not waited for: a future of this loop for each batch costs as much as a small one.
                if not self.should_stop:  # or its threads end, and it is read again later
                    self.lane.processing.submit(self._process, work)

        agent.__name__ = self.lane.name
        return agent

    async def on_start(self) -> None:
        """Join the consumer group; until the first lane does, Faust's channels are shut."""
        # Once: it empties them, and a lane whose work is lost would wait for it for ever.
        if not self.app.flow_control.is_active():
            self.app.flow_control.resume()
        self._loop = asyncio.get_running_loop()
        await self._loop.run_in_executor(self.lane.reading, self.lane.start)

    @Service.task
    async def _read(self) -> None:
        # A channel that nobody listens to yet drops what is sent, and nothing would say so.
        await self._is_heard.wait()
        try:
            await self._loop.run_in_executor(self.lane.reading, self._read_on)
        except Exception as error:  # noqa: BLE001  (the engine's supervisor: nothing is hidden)
            self._crash_loudly(error)

    def _read_on(self) -> None:
        """Read until the service stops; by the reading thread."""
        while not self.should_stop:
            if self.turns.wait(limits.POLL_S) and not self.should_stop:
                work = self.lane.read()
                self.turns.begin(is_behind=work.is_behind)
                self._loop.call_soon_threadsafe(self._inbox.put_nowait, work)

    def _process(self, work: Work) -> None:
        """Have the lane do its work; by the processing thread."""
        try:
            self.lane.handle(work)
        except Exception as error:  # noqa: BLE001  (the engine's supervisor: nothing is hidden)
            self._loop.call_soon_threadsafe(self._crash_loudly, error)
        finally:
            self.turns.end()

    def _crash_loudly(self, error: Exception) -> None:
        """Stop the whole worker: a pod that does half its work hides the other half.

        One that was told to end meets an outage as it drains: what it could not commit is done
        again, and it ends as it was told to.
        """
        if self.app.should_stop and isinstance(error, TransientError):
            log.error("not_drained", lane=self.lane.name, error=str(error))
            return
        log.critical("lane_failed", lane=self.lane.name, error=str(error), exc_info=error)
        if self.app.failure is None:
            self.app.failure = error
            os.kill(os.getpid(), signal.SIGTERM)

    @Service.timer(WATCH_S)
    async def _watch(self) -> None:
        """Name a batch that does not end; end the process if it never will."""
        stuck_s = self.turns.stuck_s
        if stuck_s > limits.STUCK_WARN_S:
            log.error(
                "batch_stuck",
                lane=self.lane.name,
                stuck_s=round(stuck_s),
                busy_s=round(self.lane.busy_s),
                at=self.lane.stack(),
            )
        if stuck_s > limits.STUCK_S_MAX:
            log.critical("worker_stuck", lane=self.lane.name)
            os._exit(EXIT_STUCK)

    async def on_stop(self) -> None:
        """Finish the batch at hand, commit, leave the group."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, self.lane.stop)
        except TimeoutError:
            log.error(  # noqa: TRY400  (the bound says enough)
                "not_drained", lane=self.lane.name, within_s=limits.DRAIN_TIMEOUT_S
            )
        except TransientError as error:
            log.error("not_drained", lane=self.lane.name, error=str(error))  # noqa: TRY400  (weather)
        else:
            self.is_drained = True


def make_app(name: str, folder: Path, web_port: int, web_host: str = "127.0.0.1") -> HeadraceApp:
    """Return an app without lanes; its web server listens at this address."""
    datadir = folder / "faust" / name
    datadir.mkdir(parents=True, exist_ok=True)
    app = HeadraceApp(
        name,
        broker="kafka://127.0.0.1",  # required by Faust, never connected to
        datadir=str(datadir),
        store="memory://",
        topic_disable_leader=True,
        web_bind=web_host,
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

    Raises:  what made a lane fail, or kept the worker from starting, once everything is shut down.
    """
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    worker = faust.Worker(
        app, loglevel="WARN", quiet=True, override_logging=False, stdout=sys.stderr
    )
    worker.spinner = None  # its codes would stand before a line of the log, or a command's answer
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        if app.failure is None and ended.code:
            app.failure = _failure_of(app, ended.__context__)
    except OSError as error:
        # The command line takes a broken pipe for its reader's, and would end without a word.
        raise TransientError(f"worker {app.conf.id}: it could not stop: {error!r}") from error
    if app.failure is not None:
        raise app.failure
    if not all(lane.is_drained for lane in app.lane_services):
        # A thread still waits for something that is away: the interpreter would wait for it.
        os._exit(0)


def _failure_of(app: HeadraceApp, cause: BaseException | None) -> Exception:
    """Return what the command line ended with, in words for whoever started it."""
    if isinstance(cause, HeadraceError):
        return cause
    if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
        return UsageError(
            f"worker {app.conf.id}: web port {app.conf.web_port}: expected a free port at "
            f"{app.conf.web_bind}, found it taken; choose another with --web-port or "
            "HEADRACE_WEB_PORT"
        )
    return TransientError(f"worker {app.conf.id}: it could not start: {cause!r}")


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

    @app.page("/live")
    async def live(web: Any, request: Any) -> Any:  # noqa: ARG001  (Faust's signature)
        stuck = [s.lane.name for s in app.lane_services if s.turns.stuck_s > limits.STUCK_S_MAX / 2]
        alive = app.failure is None and not stuck
        return web.json({"is_live": alive, "stuck": stuck}, status=200 if alive else 503)


def is_ready(app: HeadraceApp) -> bool:
    """Return whether every lane is in its group with all its state, and none has failed."""
    return app.failure is None and all(s.lane.is_ready for s in app.lane_services)
