"""What each step has done, for the live view, the report and Prometheus."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from headrace.batch import IntArray, Part

BUCKETS_MS = np.concatenate([[0.0], np.geomspace(0.1, 600_000, 120)])
"""Latency buckets: a fifth apart, from 0.1 ms to 10 minutes."""


def latency_counts_of(parts: Sequence[Part], now_ms: int) -> IntArray:
    """Return by bucket how many records are so old by now; those of the future are none."""
    stamps = [part.timestamps_ms for part in parts if len(part)]
    if not stamps:
        return np.zeros(len(BUCKETS_MS), np.int64)
    ages_ms = np.maximum(now_ms - np.concatenate(stamps), 0)
    buckets = np.minimum(np.searchsorted(BUCKETS_MS, ages_ms), len(BUCKETS_MS) - 1)
    return np.bincount(buckets, minlength=len(BUCKETS_MS))


@dataclass
class StepStats:
    """Counters of one step or sink in this process, since it started."""

    records_in: int = 0
    records_out: int = 0
    batches: int = 0
    dead_letters: int = 0
    busy_ns: int = 0
    lag: int = 0
    latency_counts: IntArray = field(default_factory=lambda: np.zeros(len(BUCKETS_MS), np.int64))

    def latency_ms(self, quantile: float) -> float | None:
        """Return a quantile of the records' age when the step was done with them."""
        return quantile_ms(self.latency_counts, quantile)


def quantile_ms(counts: IntArray, quantile: float) -> float | None:
    """Return the upper edge of the bucket that holds a quantile; None if there are no records."""
    total = int(counts.sum())
    if total == 0:
        return None
    bucket = int(np.searchsorted(np.cumsum(counts), quantile * total))
    return float(BUCKETS_MS[min(bucket, len(BUCKETS_MS) - 1)])


class Stats:
    """The stats of all steps of a process; written by agents, read by the web server."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._steps: dict[str, StepStats] = {}
        self._counts: dict[str, Counter[str]] = {}

    def add_batch(
        self,
        step: str,
        *,
        records_in: int,
        records_out: int,
        dead_letters: int,
        busy_ns: int,
        latency_counts: IntArray,
    ) -> None:
        """Note one batch of a step; `latency_counts` is how old its records were then."""
        with self._lock:
            stats = self._steps.setdefault(step, StepStats())
            stats.records_in += records_in
            stats.records_out += records_out
            stats.batches += 1
            stats.dead_letters += dead_letters
            stats.busy_ns += busy_ns
            stats.latency_counts += latency_counts

    def set_lag(self, step: str, lag: int) -> None:
        """Note how many records a step has still to read."""
        with self._lock:
            self._steps.setdefault(step, StepStats()).lag = lag

    def set_counts(self, owner: str, counts: Counter[str]) -> None:
        """Replace the named counters of one task, as `step.name`."""
        with self._lock:
            self._counts[owner] = Counter(counts)

    def as_json(self) -> dict[str, Any]:
        """Return everything, for the live view and the report."""
        with self._lock:
            totals: Counter[str] = Counter()
            for counts in self._counts.values():
                totals.update(counts)
            steps = {
                name: {
                    "records_in": stats.records_in,
                    "records_out": stats.records_out,
                    "batches": stats.batches,
                    "dead_letters": stats.dead_letters,
                    "busy_s": stats.busy_ns / 1e9,
                    "lag": stats.lag,
                    "latency_counts": stats.latency_counts.tolist(),
                }
                for name, stats in self._steps.items()
            }
        return {"steps": steps, "counts": dict(totals)}
