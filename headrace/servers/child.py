"""A server as a child process: started, watched, restarted with a bound, and ended by its pid."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal, Protocol

import psutil
import structlog
import tenacity

from headrace.errors import HeadraceError, InvariantError, TransientError
from headrace.servers.command import Command
from headrace.servers.home import Home

_log = structlog.get_logger(__name__)

State = Literal["starting", "running", "restarting", "failed", "stopped"]

POLL_S = 0.1
"""Between looks at a child: a death is noticed within this, for ten cheap system calls a second."""
READY_POLL_S = 0.02
"""Between questions to a starting child: small against the 0.1 s the fastest takes."""
STOP_TIMEOUT_S = 30.0
"""From the polite signal to SIGKILL: PostgreSQL writes its checkpoint meanwhile."""
KILL_TIMEOUT_S = 10.0
"""From SIGKILL until the kernel has ended the process."""
PREPARE_GRACE_S = 5.0
"""For a server that has not been started yet when the end is asked for."""
RESTARTS_MAX = 10
RESTART_WINDOW_S = 60.0
"""More deaths than that within so long is a loop: a person must look."""
ATTEMPTS_MAX = 6
BACKOFF_S_MAX = 5.0
"""Attempts to bring a dead child back, and the longest (jittered) pause between two."""
LOG_BYTES_MAX = 16 * 1024 * 1024
"""Of a log file before it is turned over; one older file is kept, so a server has twice this."""
_LOG_TAIL_BYTES = 2_000


class Server(Protocol):
    """What a supervised server tells of itself."""

    name: str
    where: str
    """Its address as shown to a person: without secrets."""
    connection: str
    stop_signal: signal.Signals

    def prepare(self) -> None:
        """Heal and make what the server needs on disk; called before every start."""

    def command(self) -> Command:
        """Return how to start it."""

    def answers(self) -> bool:
        """Ask it once, within a second or so, whether it serves."""


class Child:
    """One embedded server and the thread that forks it, watches it and ends it."""

    def __init__(
        self,
        server: Server,
        home: Home,
        startup_timeout_s: float,
        *,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        self.server = server
        self.state: State = "starting"
        self.restarts = 0
        self._home = home
        self._log_path = home.folder("logs") / f"{server.name}.log"
        self._startup_timeout_s = startup_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths: deque[float] = deque(maxlen=RESTARTS_MAX)
        self._ending = threading.Event()
        self._held_down = threading.Event()
        self.ready: Future[None] = Future()
        # A daemon, so that a crash elsewhere never leaves the interpreter waiting for a server.
        self._thread = threading.Thread(target=self._run, name=f"serve-{server.name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """Return the pid of the running process."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Begin; `ready` says, within bounds, that the server serves or what kept it from that."""
        self._thread.start()

    def kill(self) -> None:
        """Kill the process as a crash would; the supervisor brings it back."""
        process = self._process
        if process is not None:
            process.kill()

    def take_down(self, number: signal.Signals) -> None:
        """End the process with a signal; it stays away until `bring_back`."""
        self._held_down.set()
        process = self._process
        if process is not None:
            process.send_signal(number)

    def bring_back(self) -> None:
        """Let the supervisor start again what was taken down."""
        self._held_down.clear()

    def ask_to_end(self) -> None:
        """Tell the server's thread to end it: politely, then not; `join` waits for that."""
        self._ending.set()

    def join(self) -> None:
        """Wait until the server is gone; bounded by the timeouts of ending it.

        A thread still downloading or formatting is left: what it runs dies with this process, and
        the next start heals what that leaves.
        """
        if self._thread.ident is not None:
            busy = self._process is None
            ending_s = self._stop_timeout_s + KILL_TIMEOUT_S * 2
            self._thread.join(PREPARE_GRACE_S if busy else ending_s)

    def _run(self) -> None:
        ended: State = "failed"
        try:
            self._launch()
            self.ready.set_result(None)
            while not self._ending.wait(POLL_S):
                self._bound_log()
                dead = self._process is not None and self._process.poll() is not None
                if dead and self._held_down.is_set():
                    self.state = "stopped"
                elif dead and self._process is not None:
                    self._revive(self._process.returncode)
            ended = "stopped"
        except (HeadraceError, OSError, subprocess.SubprocessError, psutil.Error) as error:
            if not self.ready.done():
                known = isinstance(error, HeadraceError)
                self.ready.set_exception(
                    error if known else TransientError(f"{self.server.name}: {error}")
                )
            _log.error("server_failed", server=self.server.name, error=str(error))
        finally:
            try:
                self._end_process()
            finally:
                self.state = ended
                if not self.ready.done():  # this thread died of a bug, and says so on stderr
                    bug = InvariantError(f"the supervisor of {self.server.name} died")
                    self.ready.set_exception(bug)

    def _launch(self) -> None:
        """Start the process and wait until it serves, or until the end was asked for."""
        name = self.server.name
        self._bound_log()
        self.server.prepare()
        if self._ending.is_set():
            return
        command = self.server.command()
        began = time.monotonic()  # downloads and formatting have bounds of their own
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command.guarded(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=command.environment(),
                cwd=command.cwd,
                start_new_session=True,  # Ctrl-C is for us: we end the servers in order
            )
        pid = self._process.pid
        with contextlib.suppress(psutil.NoSuchProcess):
            self._home.remember(name, pid=pid, started=psutil.Process(pid).create_time())
        while not self.server.answers():
            if self._ending.wait(READY_POLL_S):
                return
            if self._process.poll() is not None:
                raise TransientError(self._explain(f"exited with {self._process.returncode}"))
            if time.monotonic() - began > self._startup_timeout_s:
                self._end_process()
                raise TransientError(
                    self._explain(f"did not answer within {self._startup_timeout_s:g} s")
                )
        self.state = "running"
        took_s = round(time.monotonic() - began, 2)
        _log.info("server_running", server=name, where=self.server.where, pid=pid, took_s=took_s)

    def _revive(self, exit_code: int) -> None:
        """Bring a dead server back on the same port.

        Raises:  TransientError when it dies in a loop or cannot be started any more.
        """
        name = self.server.name
        self.state = "restarting"
        self.restarts += 1
        _log.error("server_died", server=name, exit_code=exit_code, restarts=self.restarts)
        now = time.monotonic()
        looping = len(self._deaths) == RESTARTS_MAX and now - self._deaths[0] < RESTART_WINDOW_S
        self._deaths.append(now)
        if looping:
            raise TransientError(
                self._explain(f"died {RESTARTS_MAX + 1} times in {RESTART_WINDOW_S:g} s")
            )
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((TransientError, OSError)),
            stop=tenacity.stop_after_attempt(ATTEMPTS_MAX)
            | tenacity.stop_when_event_set(self._ending),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=BACKOFF_S_MAX),
            sleep=tenacity.sleep_using_event(self._ending),
            before_sleep=_tell_retry(name),
            reraise=True,
        )
        retrying(self._launch)

    def _end_process(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(self.server.stop_signal)
        try:
            process.wait(timeout=self._stop_timeout_s)
        except subprocess.TimeoutExpired:
            _log.warning("server_killed", server=self.server.name, waited_s=self._stop_timeout_s)
            process.kill()
            process.wait(timeout=KILL_TIMEOUT_S)

    def _bound_log(self) -> None:
        """Turn the log over when it is full.

        Copied and truncated, not renamed: the server keeps its descriptor, opened to append. Lines
        written between the two calls are lost, which a log may.
        """
        try:
            if self._log_path.stat().st_size < LOG_BYTES_MAX:
                return
        except FileNotFoundError:
            return
        with contextlib.suppress(OSError):  # on a full disk the bound matters, not the old lines
            shutil.copyfile(self._log_path, self._log_path.with_suffix(".log.1"))
        os.truncate(self._log_path, 0)

    def _explain(self, what: str) -> str:
        with self._log_path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _LOG_TAIL_BYTES))
            tail = log.read().decode(errors="replace").strip().splitlines()[-6:]
        said = "\n  ".join(tail)
        return f"{self.server.name} {what}; its log {self._log_path} ends with\n  {said}"


def _tell_retry(name: str) -> Callable[[tenacity.RetryCallState], None]:
    def tell(state: tenacity.RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        _log.warning(
            "server_restart_failed", server=name, attempt=state.attempt_number, error=str(error)
        )

    return tell
