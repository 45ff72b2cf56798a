"""What the samples of a soak come to: slopes, verdicts and the page's tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from headrace import limits

WARM_UP_SHARE = 0.2
"""Of the run: pools, caches and memtables fill, the heap of Java finds its size."""

MEMORY_SLOPE_MB_A_MINUTE_MAX = 0.5
"""0.7 GiB a day, were it to go on: what is flat lies below it even if measured for minutes only."""

HANDLES_SLOPE_A_MINUTE_MAX = 0.2
"""One in 5 min. Files that keep data are not among them: they grow with what is kept, up to the
settings of whoever keeps it (RocksDB 64 a task, PostgreSQL 1,000 a process)."""

LAG_RECORDS_MAX = 2 * limits.FEED_BACKLOG_RECORDS_MAX
"""The feed pauses above half of it; what it has sent until it looks comes on top."""

ERRORS_A_SLOPE = 2.0
"""Standard errors by which a slope must lie above its bound to break it."""

SAMPLES_MIN = 10
"""Fewer tell noise from growth badly: nothing is held then."""


class Process(msgspec.Struct, frozen=True):
    """One process, or PostgreSQL's whole group, at one time.

    `private_mb` is the memory nobody else shares (USS), where it may be read; `handles` leaves out
    files that keep data, which are `data_files`. `pids` tells a restart.
    """

    private_mb: float
    resident_mb: float
    handles: int
    data_files: int
    threads: int
    pids: tuple[int, ...]


class Sample(msgspec.Struct, frozen=True):
    """All processes by name and all lags by lane, so many seconds after the feed began."""

    at_s: float
    processes: dict[str, Process]
    lags: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through samples: what it gains a minute, and the standard error of that.

    Memory comes in saws: a sample is near the one before it, so a run says less than as many
    independent samples would. The error is widened by how alike neighbours are.
    """

    slope_a_minute: float
    error_a_minute: float

    def exceeds(self, bound: float) -> bool:
        """Say whether the slope is above a bound beyond its error; so is one that is no number."""
        return not self.slope_a_minute - ERRORS_A_SLOPE * self.error_a_minute <= bound


def fit(times_s: Sequence[float], values: Sequence[float]) -> Line:
    """Return the line of least squares, its error by residuals that follow one another (AR(1)).

    Raises:  ValueError if there are less than three samples, or all are of one time.
    Source:  Santer et al. 2000, doi 10.1029/1999JD901105: n (1 - r) / (1 + r) of n
             samples count, r being the correlation of each residual with the next.
    """
    count = len(times_s)
    mean_time, mean_value = math.fsum(times_s) / count, math.fsum(values) / count
    spread = math.fsum((t - mean_time) ** 2 for t in times_s)
    if count < 3 or spread == 0:  # noqa: PLR2004  (two points leave no error)
        raise ValueError(f"expected three samples of different times, found {count}")
    pairs = list(zip(times_s, values, strict=True))
    slope = math.fsum((t - mean_time) * (v - mean_value) for t, v in pairs) / spread
    residuals = [v - mean_value - slope * (t - mean_time) for t, v in pairs]
    rest = math.fsum(residual**2 for residual in residuals)
    likeness = _likeness_of_neighbours(residuals, rest)
    counted = max(1.0, count * (1 - likeness) / (1 + likeness) - 2)
    return Line(60 * slope, 60 * math.sqrt(rest / counted / spread))


def _likeness_of_neighbours(residuals: Sequence[float], squares: float) -> float:
    """Return how each residual goes with the next, 0 to 1; what alternates counts as 0."""
    if squares == 0:
        return 0.0
    return max(0.0, math.fsum(a * b for a, b in pairwise(residuals)) / squares)


@dataclass(frozen=True, slots=True)
class ProcessVerdict:
    """A process over the time after the warm-up; `breaks` names the bounds it broke."""

    name: str
    start: Process
    end: Process
    memory: Line
    handles: Line
    breaks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a soak came to."""

    minutes: float
    processes: Sequence[ProcessVerdict]
    lag_max: Mapping[str, int]
    breaks: Sequence[str] = field(default=())

    @property
    def is_held(self) -> bool:
        """Say whether every bound was."""
        return not self.breaks


def judge(samples: Sequence[Sample], exit_code: int | None) -> Verdict:
    """Hold the samples after the warm-up, and how the run ended, against the bounds.

    Raises:  ValueError if there are too few samples.
    """
    whole_s = samples[-1].at_s if samples else 0.0
    kept = [sample for sample in samples if sample.at_s >= WARM_UP_SHARE * whole_s]
    if len(kept) < SAMPLES_MIN:
        raise ValueError(f"expected {SAMPLES_MIN} samples after the warm-up, found {len(kept)}")
    names = sorted({name for sample in kept for name in sample.processes})
    processes = [
        found
        for name in names
        if (found := _judge_process(name, [s for s in kept if name in s.processes], len(kept)))
    ]
    lag_max: dict[str, int] = {}
    for sample in samples:
        for lane, lag in sample.lags.items():
            lag_max[lane] = max(lag, lag_max.get(lane, 0))
    breaks = [f"{p.name}: {broken}" for p in processes for broken in p.breaks]
    breaks += [
        f"{lane}: {lag:,} records behind, at most {LAG_RECORDS_MAX:,}"
        for lane, lag in lag_max.items()
        if lag > LAG_RECORDS_MAX
    ]
    if not lag_max:
        breaks.append("no lag was ever read")
    if exit_code != 0:
        breaks.append(f"exit code {exit_code} after SIGTERM, expected 0")
    return Verdict(whole_s / 60, processes, lag_max, breaks)


def _judge_process(name: str, kept: Sequence[Sample], expected: int) -> ProcessVerdict:
    """Judge one process by the samples it is in; `expected` is how many it should be in."""
    found = [sample.processes[name] for sample in kept]
    start, end = found[0], found[-1]
    breaks = []
    if len(found) < expected:
        breaks.append(f"ran in {len(found)} of {expected} samples")
    if start.pids[:1] != end.pids[:1]:
        breaks.append("was started again")
    memory = handles = Line(math.nan, math.nan)
    if len(found) >= SAMPLES_MIN:
        times_s = [sample.at_s for sample in kept]
        memory = fit(times_s, [process.private_mb for process in found])
        handles = fit(times_s, [float(process.handles) for process in found])
    if memory.exceeds(MEMORY_SLOPE_MB_A_MINUTE_MAX):
        breaks.append(f"memory grew {memory.slope_a_minute:+.2f} MiB/min")
    if handles.exceeds(HANDLES_SLOPE_A_MINUTE_MAX):
        breaks.append(f"handles grew {handles.slope_a_minute:+.2f} a minute")
    return ProcessVerdict(name, start, end, memory, handles, tuple(breaks))


COLUMNS = (
    *("process", "MiB start", "end", "slope /min", "±"),
    *("handles start", "end", "slope /min", "data files", "threads", ""),
)


def tables(verdict: Verdict) -> list[str]:
    """Return the verdict as tables of a page."""
    return [
        f"| {' | '.join(COLUMNS)} |",
        "|---|" + "---|" * (len(COLUMNS) - 1),
        *(
            f"| {p.name} | {p.start.private_mb:,.0f} | {p.end.private_mb:,.0f} | "
            f"{p.memory.slope_a_minute:+.2f} | {p.memory.error_a_minute:.2f} | "
            f"{p.start.handles} | {p.end.handles} | {p.handles.slope_a_minute:+.2f} | "
            f"{p.start.data_files} → {p.end.data_files} | {p.start.threads} → {p.end.threads} | "
            f"{'**' + '; '.join(p.breaks) + '**' if p.breaks else 'held'} |"
            for p in verdict.processes
        ),
        "",
        "| lane | records behind, max | |",
        "|---|---|---|",
        *(
            f"| {lane} | {lag:,} | {'held' if lag <= LAG_RECORDS_MAX else '**missed**'} |"
            for lane, lag in verdict.lag_max.items()
        ),
        "",
        "Every bound held." if verdict.is_held else f"**Broken: {'; '.join(verdict.breaks)}.**",
    ]
