"""Which ratios to a peer have fallen by half since the record: what CI asks of a quick run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.throughput.report import Summary, is_other

FALL_MAX = 0.5
"""Of a ratio: a quick run has few records and a busy machine, so less than half of it is noise."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast as a peer one of ours is at a job, now and in the record."""

    job: str
    ours: str
    other: str
    now: float
    then: float

    @property
    def has_fallen(self) -> bool:
        """Say whether it is less than half of what it was."""
        return self.now < FALL_MAX * self.then

    @property
    def text(self) -> str:
        """Return it as a line."""
        word = "fallen by half" if self.has_fallen else "held"
        return (
            f"{self.job}: {self.ours} to {self.other}: {self.now:.2f} times, "
            f"{self.then:.2f} in the record: {word}"
        )


def compared(
    now: Mapping[tuple[str, str], Summary], then: Mapping[tuple[str, str], float]
) -> list[Ratio]:
    """Return the ratios of ours to others that both have figures of.

    Shapes:  by job and peer: summaries, and events/s of the record.
    """
    both = {key: summary for key, summary in now.items() if key in then}
    return [
        Ratio(job, ours, other, mine.rate / theirs.rate, then[job, ours] / then[job, other])
        for (job, ours), mine in both.items()
        for (other_job, other), theirs in both.items()
        if job == other_job and not is_other(ours) and is_other(other)
    ]


def recorded_rates(path: Path) -> dict[tuple[str, str], float]:
    """Return the events/s of a record by job and peer.

    Raises:  OSError, ValueError or KeyError if there is none, or it is not one of this benchmark.
    """
    record: dict[str, Any] = json.loads(path.read_text())
    return {
        (bar["job"], bar["peer"]): bar["rate"]
        for picture in record["pictures"].values()
        for bar in picture["bars"]
    }
