"""The processes of a run: one a lane and one for the feed, each as it would be a pod."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread, current_thread, main_thread
from time import monotonic
from typing import IO, Any

import psutil

from headrace.errors import TransientError
from headrace.servers.ports import choose

STOP_TIMEOUT_S = 70.0
"""Longer than a worker may take to drain."""

RESTARTS_MAX = 5
"""How often a worker that died is started again before the run gives up."""


SLOPE_SAMPLES_MIN = 10
SLOPE_S_MIN = 10
"""Fewer samples, or less time, tell noise from growth badly."""


_given: set[int] = set()
"""Ports this process has given to its children, which may not listen on them yet."""


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, and no outgoing connection will get.

    None is given twice.

    Raises:  TransientError if there is none.
    """
    return choose("HEADRACE_WEB_PORT", None, None, _given)


@dataclass
class Memory:
    """Resident memory of a process over time, in MiB."""

    samples: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=20_000))
    peak_mb: float = 0.0

    def add(self, at_s: float, used_mb: float) -> None:
        """Note one sample."""
        self.samples.append((at_s, used_mb))
        self.peak_mb = max(self.peak_mb, used_mb)

    def slope_mb_a_minute(self, warm_up_s: float) -> float | None:
        """Return the growth after the warm-up, by least squares; None if too short to tell."""
        times = [at for at, _ in self.samples if at >= warm_up_s]
        used = [mb for at, mb in self.samples if at >= warm_up_s]
        if len(times) < SLOPE_SAMPLES_MIN or times[-1] - times[0] < SLOPE_S_MIN:
            return None
        mean_time, mean_used = sum(times) / len(times), sum(used) / len(used)
        spread = sum((t - mean_time) ** 2 for t in times)
        joint = sum((t - mean_time) * (u - mean_used) for t, u in zip(times, used, strict=True))
        return 60 * joint / spread


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Have signals that may interrupt us wait for the end of the context.

    One between a child's birth and the note of its pid would leave it behind. They are not blocked:
    the child would inherit that.
    """
    if current_thread() is not main_thread():  # signals interrupt that one alone
        yield
        return
    came: list[int] = []
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda got, _: came.append(got)) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


class Process:
    """A child that runs one `headrace` command; its log goes to a file."""

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.restarts = 0
        self.memory = Memory()
        self.cpu_s = 0.0
        self.said: dict[str, Any] = {}
        self._arguments = [sys.executable, "-m", "headrace", *arguments]
        self._environment = {**os.environ, **environment}
        self._log = log
        self._child: subprocess.Popen[str] | None = None
        self._cpu_before_s = 0.0

    def start(self) -> None:
        """Start the child, in a process group of its own: Ctrl-C is the parent's to handle."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with signals_held(), self._log.open("w" if self.restarts == 0 else "a") as log:
            self._child = subprocess.Popen(
                self._arguments,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            if self._child.stdout is not None:
                Thread(target=self._listen, args=(self._child.stdout,), daemon=True).start()

    def _listen(self, lines: IO[str]) -> None:
        """Keep the last thing the child said as a JSON line."""
        with lines:
            for line in lines:
                if line.startswith("{"):
                    self.said = json.loads(line)

    @property
    def pid(self) -> int | None:
        """Return the child's process id, or None if it does not run."""
        return None if self._child is None or self._child.poll() is not None else self._child.pid

    @property
    def exit_code(self) -> int | None:
        """Return how the child ended, or None while it runs."""
        return None if self._child is None else self._child.poll()

    def revive(self, restarts_max: int = RESTARTS_MAX) -> bool:
        """Start a child that died again; False if it has died too often."""
        if self.restarts >= restarts_max:
            return False
        self.restarts += 1
        self._cpu_before_s = self.cpu_s
        self.start()
        return True

    def sample(self, at_s: float) -> None:
        """Note memory and CPU time as they are now."""
        if self._child is None or self._child.poll() is not None:
            return
        try:
            process = psutil.Process(self._child.pid)
            self.memory.add(at_s, process.memory_info().rss / 2**20)
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            return
        self.cpu_s = self._cpu_before_s + times.user + times.system

    def ask_to_stop(self) -> None:
        """Tell the child to finish what it has and end."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def send(self, number: signal.Signals) -> bool:
        """Send the child a signal; return whether it was there to take it."""
        if self._child is None or self._child.poll() is not None:
            return False
        self._child.send_signal(number)
        return True

    def kill(self) -> None:
        """End the child as a crash would."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()

    def join(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Wait for the child to end; kill it if it does not in time."""
        if self._child is None:
            return
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(timeout_s)

    def last_words(self, lines_max: int = 5) -> str:
        """Return the end of the child's log."""
        try:
            return "\n".join(self._log.read_text().splitlines()[-lines_max:])
        except OSError as error:
            return f"({self._log} cannot be read: {error.strerror})"

    def fail(self) -> TransientError:
        """Return the error that says how the child ended."""
        return TransientError(
            f"{self.name} ended with exit code {self.exit_code} after {self.restarts} restarts; "
            f"its log {self._log} ends:\n{self.last_words()}"
        )


def stop_all(processes: Sequence[Process]) -> None:
    """End processes together, within one bound."""
    for process in processes:
        process.ask_to_stop()
    deadline = monotonic() + STOP_TIMEOUT_S
    for process in processes:
        process.join(max(0.1, deadline - monotonic()))
