"""What a window can say of its records: counts, sums, extremes, first, last, VWAP, your own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.batch import IntArray
from headrace.errors import InvariantError
from headrace.operators import folds

Number: TypeAlias = Literal["int", "float"]
Operation: TypeAlias = Literal["add", "min", "max", "first", "last", "count"]
Column: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]

OPERATIONS: Mapping[Operation, int] = {
    "add": folds.ADD,
    "min": folds.MIN,
    "max": folds.MAX,
    "first": folds.FIRST,
    "last": folds.LAST,
}

LIMB_BITS = 31
LIMB_MASK = (1 << LIMB_BITS) - 1
LOW_BITS = 32
LOW_MASK = (1 << LOW_BITS) - 1
INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Fold:
    """One number a window keeps, and how a record's value goes into it.

    Of `count` there are `counters` numbers, and a value is the place of the one to raise by 1, or
    -1 for none. Aggregates whose counts have the same `name` share them.
    """

    operation: Operation
    number: Number = "int"
    # Not in the layout of tables that count nothing.
    counters: int = field(default=0, repr=False)
    name: str = field(default="", repr=False)


class Aggregate(Protocol):
    """Something a window says of its records, made of numbers that records are folded into.

    Whatever can be said by sums, extremes, and values of the first and last record is an aggregate:
    a variance is three sums. A window's state is one number a fold, so its size does not grow.
    """

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Return the numbers it keeps."""

    def values(self, records: pa.RecordBatch) -> Sequence[Column]:
        """Return what each record brings to each fold.

        Shapes:  a column a fold, an item a record: int64 or float64 as the fold says.
        """

    def result(self, totals: Sequence[Column]) -> pa.Array:
        """Return what each window says.

        Shapes:  a column a fold in, an item a window in and out; of counts (counters, windows).
        """


@dataclass(frozen=True, slots=True)
class Count:
    """How many records there are; int64."""

    folds: tuple[Fold, ...] = (Fold("add"),)

    def values(self, records: pa.RecordBatch) -> Sequence[Column]:
        """Return a one for each record."""
        return [np.ones(records.num_rows, np.int64)]

    def result(self, totals: Sequence[Column]) -> pa.Array:
        """Return the sums of ones."""
        return pa.array(totals[0])


@dataclass(frozen=True, slots=True)
class OneValue:
    """The least, largest, first or last of a field's values; of the field's kind.

    First and last go by event time, then by `Rows.orders`, then by arrival. NaN is left out of the
    least and the largest, unless there is nothing else.
    """

    field: str
    operation: Operation
    number: Number = "int"

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Return the one number."""
        return (Fold(self.operation, self.number),)

    def values(self, records: pa.RecordBatch) -> Sequence[Column]:
        """Return the field."""
        return [column_of(records, self.field, self.number)]

    def result(self, totals: Sequence[Column]) -> pa.Array:
        """Return the number."""
        return pa.array(totals[0])


@dataclass(frozen=True, slots=True)
class IntSum:
    """The exact sum of a field of integers; int64, held at its limit where it would not fit."""

    field: str
    folds: tuple[Fold, ...] = (Fold("add"), Fold("add"))

    def values(self, records: pa.RecordBatch) -> Sequence[Column]:
        """Return the upper and the lower half of each value."""
        return _halves(column_of(records, self.field, "int"))

    def result(self, totals: Sequence[Column]) -> pa.Array:
        """Return the sums."""
        sums = np.clip(_whole(totals), -INT64_MAX - 1, INT64_MAX)
        return pa.array(sums.astype(np.int64))


@dataclass(frozen=True, slots=True)
class FloatSum:
    """The sum of a field of floats, in the order the records came; float64."""

    field: str
    folds: tuple[Fold, ...] = (Fold("add", "float"),)

    def values(self, records: pa.RecordBatch) -> Sequence[Column]:
        """Return the field."""
        return [column_of(records, self.field, "float")]

    def result(self, totals: Sequence[Column]) -> pa.Array:
        """Return the sums."""
        return pa.array(totals[0])


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a field; float64, of integers the float nearest the exact one."""

    field: str
    number: Number = "int"

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Return the sum, or its halves, and the count."""
        sums = [Fold("add")] * 2 if self.number == "int" else [Fold("add", "float")]
        return (*sums, Fold("add"))

    def values(self, records: pa.RecordBatch) -> Sequence[Column]:
        """Return the field, and a one for each record."""
        values = column_of(records, self.field, self.number)
        ones = np.ones(records.num_rows, np.int64)
        return [*(_halves(values) if self.number == "int" else [values]), ones]

    def result(self, totals: Sequence[Column]) -> pa.Array:
        """Return the means."""
        *sums, counts = totals
        if self.number == "float":
            return pa.array(sums[0] / counts)
        return pa.array((_whole(sums) / counts.astype(object)).astype(np.float64))


@dataclass(frozen=True, slots=True)
class Vwap:
    """The volume-weighted price: sum of price times size over sum of size, to the nearest integer.

    In the price's own unit; exact, halves upwards; null where the sizes sum to 0.
    Prices and sizes are integers from 0 to below 2^62.
    """

    price: str
    size: str
    folds: tuple[Fold, ...] = (Fold("add"),) * 6

    def values(self, records: pa.RecordBatch) -> Sequence[Column]:
        """Return the limbs of price times size, lowest first, and the halves of size."""
        prices = _integers(column_of(records, self.price, "int"))
        sizes = _integers(column_of(records, self.size, "int"))
        if not np.bitwise_or.reduce(prices | sizes) >> LIMB_BITS:
            low, none = prices * sizes, np.zeros(len(prices), np.int64)
            return [low & LIMB_MASK, low >> LIMB_BITS, none, none, *_halves(sizes)]
        price_high, price_low = prices >> LIMB_BITS, prices & LIMB_MASK
        size_high, size_low = sizes >> LIMB_BITS, sizes & LIMB_MASK
        low, high = price_low * size_low, price_high * size_high
        left, right = price_high * size_low, price_low * size_high
        return [
            low & LIMB_MASK,
            (low >> LIMB_BITS) + (left & LIMB_MASK) + (right & LIMB_MASK),
            (left >> LIMB_BITS) + (right >> LIMB_BITS) + (high & LIMB_MASK),
            high >> LIMB_BITS,
            *_halves(sizes),
        ]

    def result(self, totals: Sequence[Column]) -> pa.Array:
        """Return the prices."""
        first, second, third, fourth = (limb.astype(object) for limb in totals[:4])
        turnover = (fourth << LIMB_BITS) + third
        turnover = (((turnover << LIMB_BITS) + second) << LIMB_BITS) + first
        volume = _whole(totals[4:])
        some = volume > 0
        weighted = np.zeros(len(volume), np.int64)
        weighted[some] = (2 * turnover[some] + volume[some]) // (2 * volume[some])
        return pa.array(weighted, mask=~some.astype(np.bool_))


def ohlcv(price: str, size: str, *, suffix: str = "_ticks") -> dict[str, Aggregate]:
    """Return the five of a candle by name: open, high, low, close of the price, and the volume."""
    return {
        f"open{suffix}": OneValue(price, "first"),
        f"high{suffix}": OneValue(price, "max"),
        f"low{suffix}": OneValue(price, "min"),
        f"close{suffix}": OneValue(price, "last"),
        "volume_lots": IntSum(size),
    }


def column_of(records: pa.RecordBatch, field: str, number: Number) -> Column:
    """Return a field of records as an operator computes with it.

    Raises:  InvariantError if it is not there or has nulls: leave such records out before.
    """
    wanted = np.dtype(np.int64 if number == "int" else np.float64)
    if field not in records.schema.names:
        raise InvariantError(
            f"window: expected a column {field}, found {', '.join(records.schema.names)}"
        )
    column = records.column(field)
    if column.null_count:
        raise InvariantError(
            f"window, column {field}: expected no nulls, found {column.null_count}; leave those "
            "records out before"
        )
    values: Column = column.to_numpy(zero_copy_only=False)
    if not np.can_cast(values.dtype, wanted, "safe"):
        raise InvariantError(f"window, column {field}: expected {wanted}, found {values.dtype}")
    return _integers(values) if number == "int" else values.astype(np.float64, copy=False)


def _integers(values: Column) -> IntArray:
    return values.astype(np.int64, copy=False)


def _halves(values: Column) -> list[Column]:
    """Return the upper and lower half of integers, so that no sum of 2^31 of them overflows."""
    integers = _integers(values)
    return [integers >> LOW_BITS, integers & LOW_MASK]


def _whole(halves: Sequence[Column]) -> npt.NDArray[np.object_]:
    """Return sums of halves as Python's integers, which have no limit: one a window."""
    high, low = (half.astype(object) for half in halves)
    return np.asarray((high << LOW_BITS) + low, dtype=object)
