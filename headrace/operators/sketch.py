"""Quantiles of a field within a known relative error, from counts in buckets of growing width."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.batch import FloatArray, IntArray
from headrace.errors import UsageError
from headrace.operators.aggregates import Column, Fold, Number, column_of
from headrace.operators.limits import BUCKETS_MAX

MANTISSA_BITS = 52
"""Of a float64: the bits above them are the power of two."""

MAGNITUDE_MIN, MAGNITUDE_MAX = 1e-300, 1e300


@dataclass(frozen=True, slots=True)
class Sketch:
    """Declares how values of a field are counted so that quantiles can be told of them.

    Each power of two is cut into 2^k equal buckets, the first bits of a float64's mantissa, so that
    a bucket is found without a logarithm and is the same on every machine. k is the least whose
    bound, 1 / (2^(k + 1) + 1), is not above `error`. Counts are integers: sketches of parts of the
    data add up to the sketch of all of it, in any order.
    Values of a magnitude below `least` count as 0; above `largest` as about `largest`. Negative
    ones count as 0, unless it is `signed`, which doubles the buckets. NaN is left out.

    Raises:  UsageError if the range or the error cannot be, or needs too many buckets.
    Source:  Masson, Rim, Lee (2019), DDSketch, VLDB 12(12), with buckets linear within each power
             of two: 1.44 times as many as with logarithms, and integers alone. Theirs are as many
             as the data needs, ours as many as the declared range does.
    """

    field: str
    least: float
    largest: float
    error: float = 0.01
    number: Number = "int"
    signed: bool = False

    def __post_init__(self) -> None:
        """Refuse a sketch that cannot be."""
        if not MAGNITUDE_MIN <= self.least <= self.largest <= MAGNITUDE_MAX:
            raise UsageError(
                f"operator, sketch of {self.field}: expected least up to largest, both from "
                f"{MAGNITUDE_MIN} to {MAGNITUDE_MAX}, found {self.least} and {self.largest}"
            )
        if not 0 < self.error < 1:
            raise UsageError(
                f"operator, sketch of {self.field}: expected an error above 0 and below 1, found "
                f"{self.error}"
            )
        if self.cut_bits > MANTISSA_BITS or self.buckets > BUCKETS_MAX:
            raise UsageError(
                f"operator, sketch of {self.field}: expected at most {BUCKETS_MAX} buckets from "
                f"{self.least} to {self.largest} with an error of {self.error}; take a larger "
                "error, or less of a range"
            )

    @property
    def cut_bits(self) -> int:
        """Return k: each power of two has 2^k buckets."""
        enough = (k for k in range(MANTISSA_BITS + 1) if _bound(k) <= self.error)
        return next(enough, MANTISSA_BITS + 1)

    @property
    def relative_error(self) -> float:
        """Return how far a quantile may be from the value it stands for, at most, over that."""
        return _bound(self.cut_bits)

    @property
    def buckets(self) -> int:
        """Return how many counters there are."""
        return self._magnitudes * (2 if self.signed else 1) + 1

    @property
    def _magnitudes(self) -> int:
        return int(self._parts(np.array([self.largest], np.float64))[0]) - self._first + 1

    @property
    def _first(self) -> int:
        return int(self._parts(np.array([self.least], np.float64))[0])

    def _parts(self, magnitudes: FloatArray) -> IntArray:
        """Return the first bits of each: numbers that grow with it, bucket by bucket."""
        bits: IntArray = magnitudes.view(np.int64) >> (MANTISSA_BITS - self.cut_bits)
        return bits

    def buckets_of(self, values: Column) -> IntArray:
        """Return the bucket of each value, -1 of NaN; they ascend with the values."""
        floats = values.astype(np.float64)
        magnitudes = np.abs(floats)
        places = np.clip(self._parts(magnitudes) - self._first, 0, self._magnitudes - 1) + 1
        places[magnitudes < self.least] = 0
        if self.signed:
            places = np.where(floats < 0, -places, places) + self._magnitudes
        else:
            places[floats < 0] = 0
        return np.where(np.isnan(floats), -1, places)

    def values_of_buckets(self) -> FloatArray:
        """Return the value that is said of each bucket: nearest to both its ends, relatively."""
        parts = np.arange(self._first, self._first + self._magnitudes + 1) << (
            MANTISSA_BITS - self.cut_bits
        )
        edges = parts.view(np.float64)
        low, high = edges[:-1], edges[1:]
        magnitudes = low * (2 / (1 + low / high))
        negatives = -magnitudes[::-1] if self.signed else magnitudes[:0]
        return np.concatenate([negatives, np.zeros(1), magnitudes])

    def quantiles(self, counts: IntArray, quantile: float) -> pa.Array:
        """Return a quantile of what was counted, null where nothing was.

        Of n values the one with floor(quantile x (n - 1)) before it, numpy's method "lower".

        Shapes:  counts (buckets, sketches); (sketches,) float64 out.
        """
        numbers = counts.sum(axis=0)
        ranks = np.floor(quantile * (numbers - 1)).astype(np.int64)
        buckets = (np.cumsum(counts, axis=0) > ranks).argmax(axis=0)
        return pa.array(self.values_of_buckets()[buckets], mask=numbers == 0)


def _bound(cut_bits: int) -> float:
    # The first bucket of a power of two is the widest: its ends are as 2^k to 2^k + 1.
    return 1 / ((2 << cut_bits) + 1)


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of a field, from 0 to 1, as its sketch has it; float64, null of nothing but NaN.

    Quantiles of equal sketches in one window share its counters.
    Raises:  UsageError if the quantile is not from 0 to 1.
    """

    sketch: Sketch
    quantile: float

    def __post_init__(self) -> None:
        """Refuse a quantile that cannot be."""
        if not 0 <= self.quantile <= 1:
            raise UsageError(
                f"operator, quantile of {self.sketch.field}: expected one from 0 to 1, found "
                f"{self.quantile}"
            )

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Return the counts."""
        return (Fold("count", "int", self.sketch.buckets, repr(self.sketch)),)

    def values(self, records: pa.RecordBatch) -> Sequence[Column]:
        """Return the bucket of each record."""
        return [self.sketch.buckets_of(column_of(records, self.sketch.field, self.sketch.number))]

    def result(self, totals: Sequence[Column]) -> pa.Array:
        """Return the quantiles."""
        return self.sketch.quantiles(totals[0].astype(np.int64, copy=False), self.quantile)
