"""One run of one peer: started fresh, measured from outside, checked, ended."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.throughput.catalog import Job, Peer, Setting
from benchmarks.throughput.cluster import Cluster
from benchmarks.throughput.trades import Expected
from benchmarks.throughput.window import Figure, Sample, Spent, Window, figure

POLL_S = 0.05
START_S_MAX = 120.0
"""Until the first output."""
STILL_S_MAX = 60.0
"""Without progress, before a run is given up."""
FINISH_S_MAX = 120.0
"""After the window, until everything is written: only what came to its end can be checked."""
STOP_S_MAX = 20.0
LAST_WORDS = 5


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a peer: its figure, how it was wrong (nothing if it was right), its progress."""

    peer: str
    job: str
    records: int
    figure: Figure | None
    fault: str
    samples: tuple[Sample, ...]


def run_peer(cluster: Cluster, peer: Peer, job: Job, setting: Setting, expected: Expected) -> Run:
    """Return what a peer makes of an input; leaves nothing of it behind."""
    cluster.create(setting.output)
    shutil.rmtree(setting.state, ignore_errors=True)
    setting.state.mkdir(parents=True)
    total = expected.inputs
    watch = Watch(cluster.progress(peer, setting, expected), Window(total, peer.warm_s_min), total)
    fault, found = "", None
    log = setting.state.with_suffix(".log")
    with process(peer, setting, log) as child:
        try:
            found = watch.follow(child, cluster.broker)
        except (TimeoutError, ChildProcessError, ValueError) as error:
            fault = f"{error}; {last_words(log)}"
    if not fault:
        fault = cluster.fault_of(setting.output, job, expected)
    cluster.forget(setting.group)
    shutil.rmtree(setting.state, ignore_errors=True)
    return Run(peer.name, job.name, total, found, fault, tuple(watch.samples))


class Watch:
    """Follows a run from its start to its last record."""

    def __init__(self, progress: Callable[[], int], window: Window, total: int) -> None:
        self._progress = progress
        self._window = window
        self._total = total
        self.samples: list[Sample] = []

    def follow(self, child: psutil.Process, broker: psutil.Process) -> Figure:
        """Return the figure of the window, once everything is written.

        Raises:  ChildProcessError if the peer ends; TimeoutError if it does not come to the end;
                 ValueError if it was at the end before it was warm.
        """
        began_s = moved_at_s = time.monotonic()
        spent: dict[str, Spent] = {}
        while True:
            sample = Sample(time.monotonic(), self._progress())
            if not self.samples or sample.events > self.samples[-1].events:
                moved_at_s = sample.at_s
            self.samples.append(sample)
            if (event := self._window.see(sample)) is not None:
                spent[event] = Spent(cpu_s(child), cpu_s(broker), machine_cpu_s())
            if sample.events >= self._total:
                break
            self._require_progress(child, sample, began_s, moved_at_s)
            time.sleep(max(0.0, sample.at_s + POLL_S - time.monotonic()))
        start, end = self._window.start, self._window.end
        if start is None or end is None:
            raise ValueError(f"expected a warm run, found all {self._total:,} records done before")
        return figure(start, end, spent["start"], spent["end"])

    def _require_progress(
        self, child: psutil.Process, sample: Sample, began_s: float, moved_at_s: float
    ) -> None:
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            raise ChildProcessError(f"it ended after {sample.events:,} of {self._total:,} records")
        limit_s = STILL_S_MAX if sample.events else START_S_MAX
        still_s = sample.at_s - (moved_at_s if sample.events else began_s)
        end = self._window.end
        if still_s > limit_s or (end is not None and sample.at_s - end.at_s > FINISH_S_MAX):
            raise TimeoutError(
                f"{sample.events:,} of {self._total:,} records were done, "
                f"the last {still_s:.0f} s ago"
            )


@contextlib.contextmanager
def process(peer: Peer, setting: Setting, log: Path) -> Iterator[psutil.Process]:
    """Run a peer for as long as the context lasts; none of its processes outlives it."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            peer.command(setting),
            env={**os.environ, **setting.environment(peer)},
            cwd=setting.state,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield psutil.Process(child.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_S_MAX)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def cpu_s(root: psutil.Process) -> float:
    """Return the CPU seconds a process and its children have taken so far."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        for found in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = found.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def machine_cpu_s() -> float:
    """Return the CPU seconds of all processes so far, those that have ended included."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def last_words(log: Path) -> str:
    """Return the end of what a peer printed."""
    lines = log.read_text(errors="replace").splitlines()
    return " / ".join(lines[-LAST_WORDS:]) or "it printed nothing"
