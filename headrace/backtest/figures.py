"""Figures of a stream in bounded memory: distributions, curves, digests of bytes."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from headrace import limits
from headrace.batch import FloatArray
from headrace.byte_column import column_of

QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)
BINS = 40


@dataclass(slots=True)
class Distribution:
    """How the values of a field are distributed; values that are not finite are only counted.

    `sample` has every `stride`-th of them, so that it depends on their order alone.
    """

    count: int = 0
    not_finite: int = 0
    total: float = 0.0
    least: float = np.inf
    most: float = -np.inf
    stride: int = 1
    sample: FloatArray = field(default_factory=lambda: np.empty(0))

    def add(self, values: FloatArray) -> None:
        """Take values in."""
        finite = values[np.isfinite(values)]
        self.not_finite += len(values) - len(finite)
        if not len(finite):
            return
        first = -self.count % self.stride
        self.sample = np.concatenate([self.sample, finite[first :: self.stride]])
        self.count += len(finite)
        self.total += float(finite.sum())
        self.least = min(self.least, float(finite.min()))
        self.most = max(self.most, float(finite.max()))
        while len(self.sample) > 2 * limits.BACKTEST_SAMPLE:
            self.sample = self.sample[::2]
            self.stride *= 2

    def as_json(self) -> dict[str, Any]:
        """Return the figures; quantiles and the histogram are of the sample."""
        if not self.count:
            return {"count": 0, "not_finite": self.not_finite}
        bins, edges = np.histogram(self.sample, bins=BINS)
        return {
            "count": self.count,
            "not_finite": self.not_finite,
            "mean": self.total / self.count,
            "min": self.least,
            "max": self.most,
            "quantiles": {
                f"{q:g}": float(np.quantile(self.sample, q, method="lower")) for q in QUANTILES
            },
            "histogram": {"edges": edges.tolist(), "counts": bins.tolist()},
        }


@dataclass(slots=True)
class Curve:
    """A value over time, with how far it fell from its highest; it starts from 0.

    `points` are thinned evenly where there are too many; lowest, highest and fall are exact.
    """

    points: list[tuple[int, float]] = field(default_factory=list)
    stride: int = 1
    seen: int = 0
    last: tuple[int, float] | None = None
    highest: float = 0.0
    drawdown: float = 0.0

    def add(self, time_ns: int, value: float) -> None:
        """Take the next value in."""
        self.highest = max(self.highest, value)
        self.drawdown = max(self.drawdown, self.highest - value)
        if self.seen % self.stride == 0:
            self.points.append((time_ns, value))
        self.seen += 1
        self.last = (time_ns, value)
        if len(self.points) > 2 * limits.BACKTEST_CURVE_POINTS:
            self.points = self.points[::2]
            self.stride *= 2

    def all_points(self) -> list[tuple[int, float]]:
        """Return the kept points, the last of all among them."""
        if self.last is None or self.points[-1] == self.last:
            return self.points
        return [*self.points, self.last]


class Digests:
    """A hash of the values of each topic, in the order of the log of each partition."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[str, int], Any] = defaultdict(hashlib.sha256)

    def add(self, topic: str, partition: int, values: Sequence[bytes | None]) -> None:
        """Take in what was appended to a partition."""
        self._hashes[topic, partition].update(_bytes_of(column_of(values)))

    def by_topic(self) -> dict[str, str]:
        """Return 16 hexadecimal digits a topic: the same bytes give the same."""
        topics: dict[str, Any] = defaultdict(hashlib.sha256)
        for (topic, partition), found in sorted(self._hashes.items()):
            topics[topic].update(f"{partition}:{found.hexdigest()} ".encode())
        return {topic: found.hexdigest()[:16] for topic, found in topics.items()}


def _bytes_of(array: pa.BinaryArray) -> memoryview:
    """Return the bytes of all items, one behind the other."""
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return memoryview(data or b"")[int(places[0]) : int(places[-1])]


def numbers_in(records: pa.RecordBatch) -> dict[str, FloatArray]:
    """Return the columns that measure something: numbers, but for times, counters and ids."""
    return {
        field.name: column.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
        for field, column in zip(records.schema, records.columns, strict=True)
        if (pa.types.is_integer(field.type) or pa.types.is_floating(field.type))
        and not field.name.endswith(("_ns", "sequence", "_id"))
    }
