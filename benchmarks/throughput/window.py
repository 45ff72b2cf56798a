"""From when to when a run is measured: warm, and no longer than it must be."""

from dataclasses import dataclass
from typing import Literal

WARM_SHARE = 0.15
WARM_S = 5.0
"""A peer is warm when it has done this share, or so long after its first output if it is slow."""

WARM_SHARE_MAX = 0.5
"""What compiles as it runs is given seconds too, but no more than this share of a short run."""

WINDOW_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How many events of the input were done with at a time (monotonic, s)."""

    at_s: float
    events: int


@dataclass(frozen=True, slots=True)
class Figure:
    """What a window came to."""

    seconds: float
    events: int
    rate: float
    cpu_us: float
    """CPU microseconds an event, of the peer's process tree."""
    broker_cpu_us: float
    """The same of the broker."""
    others_cores: float
    """How many cores everything else took: far from 0, the rate says little."""


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds spent until a time: by the peer, by the broker, by the whole machine."""

    peer_s: float
    broker_s: float
    machine_s: float


class Window:
    """Decides, sample by sample, when the clock starts and when it ends.

    `warm_s_min` keeps it from starting so soon after the first output, for what compiles as it
    runs.
    """

    def __init__(self, total: int, warm_s_min: float = 0.0) -> None:
        self._total = total
        self._warm_s_min = warm_s_min
        self._first: Sample | None = None
        self.start: Sample | None = None
        self.end: Sample | None = None

    def see(self, sample: Sample) -> Literal["start", "end"] | None:
        """Take in the next sample; return what happens to the clock at it."""
        if sample.events == 0:
            return None
        if self._first is None:
            self._first = sample
        if self.start is None:
            if not self._is_warm(sample, self._first):
                return None
            self.start = sample
            return "start"
        is_over = sample.at_s - self.start.at_s >= WINDOW_S_MAX
        if self.end is None and (sample.events >= self._total or is_over):
            self.end = sample
            return "end"
        return None

    def _is_warm(self, sample: Sample, first: Sample) -> bool:
        since_s = sample.at_s - first.at_s
        share = sample.events / self._total
        is_compiled = since_s >= self._warm_s_min or share >= WARM_SHARE_MAX
        return is_compiled and (share >= WARM_SHARE or since_s >= WARM_S)


def figure(start: Sample, end: Sample, before: Spent, after: Spent) -> Figure:
    """Return the rate and the cost between two samples, given what was spent until each.

    Raises:  ValueError if nothing was done between them: the run was over before it was warm.
    """
    events, seconds = end.events - start.events, end.at_s - start.at_s
    if events <= 0 or seconds <= 0:
        raise ValueError(
            f"expected events between the samples {start} and {end}, found none; "
            "give the run more records"
        )
    peer_s = after.peer_s - before.peer_s
    broker_s = after.broker_s - before.broker_s
    others_s = max(0.0, after.machine_s - before.machine_s - peer_s - broker_s)
    return Figure(
        seconds=seconds,
        events=events,
        rate=events / seconds,
        cpu_us=1e6 * peer_s / events,
        broker_cpu_us=1e6 * broker_s / events,
        others_cores=others_s / seconds,
    )
