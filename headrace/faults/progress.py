"""How far every lane is, sampled while faults strike, and what each fault cost of it."""

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from headrace.faults import limits
from headrace.faults.watching import Place, Seen
from headrace.kafka.fetched import Offsets
from headrace.up.lag import LaneGroup

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """The ends of all partitions and what each group has committed, at one time."""

    at_s: float
    ends: Offsets
    committed: Mapping[str, Offsets]


class ProgressWatch:
    """A process that samples the groups of a topology, started again whenever it ends."""

    def __init__(self, bootstrap: str, groups: Sequence[LaneGroup], started_at: float) -> None:
        """Sample `groups`; times count from `started_at` on the monotonic clock."""
        script = ["-m", "headrace.faults.watching", bootstrap]
        self._command = [sys.executable, *script, msgspec.json.encode(groups).decode()]
        self._started_at = started_at
        self._ending = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="sample-progress", daemon=True)
        self.samples: list[Sample] = []

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """End the process and the thread that reads it."""
        self._ending.set()
        if self._child is not None:
            self._child.kill()
        if self._thread.ident is not None:
            self._thread.join(limits.SERVER_TIMEOUT_S)

    def _run(self) -> None:
        while not self._ending.is_set():
            with subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            ) as child:
                self._child = child
                if self._ending.is_set():
                    child.kill()
                for line in child.stdout or ():
                    if line.endswith("\n"):
                        self.samples.append(self._sample(line))
            log.info("progress_watch_ended", code=child.returncode)
            self._ending.wait(limits.SAMPLE_S)

    def _sample(self, line: str) -> Sample:
        seen = msgspec.json.decode(line, type=Seen)
        return Sample(
            seen.at - self._started_at,
            _offsets(seen.ends),
            {group: _offsets(places) for group, places in seen.committed.items()},
        )


def recovery_s(
    samples: Sequence[Sample],
    groups: Sequence[LaneGroup],
    *,
    from_s: float,
) -> float | None:
    """Return how long after `from_s` all that was in the log then was through these groups.

    An offset at the end of a log may be a transaction's marker, which nobody commits: a partition
    is through when it stands where it stood in the last sample, if that is earlier. None if it was
    never through, or there is no sample.
    """
    at = next((sample for sample in samples if sample.at_s >= from_s), None)
    if at is None:
        return None
    last = samples[-1]
    goals = {
        (group.group, place): min(at.ends.get(place, 0), last.committed[group.group].get(place, 0))
        for group in groups
        for place in _places(group)
    }
    for sample in samples:
        if sample.at_s >= from_s and all(
            sample.committed[group].get(place, 0) >= goal for (group, place), goal in goals.items()
        ):
            return max(0.0, sample.at_s - from_s)
    return None


def lag_max(
    samples: Sequence[Sample], groups: Sequence[LaneGroup], *, from_s: float, until_s: float
) -> int:
    """Return the most offsets any of these groups was behind within a time."""
    return max(
        (
            sum(
                max(0, sample.ends.get(place, 0) - sample.committed[group.group].get(place, 0))
                for place in _places(group)
            )
            for sample in samples
            if from_s <= sample.at_s <= until_s
            for group in groups
        ),
        default=0,
    )


def _offsets(places: Sequence[Place]) -> Offsets:
    return {(topic, partition): offset for topic, partition, offset in places}


def _places(group: LaneGroup) -> list[tuple[str, int]]:
    return [(topic, number) for topic, count in group.topics.items() for number in range(count)]
