"""Where the numbers of several aggregates stand among those that a window keeps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.batch import FloatArray, IntArray
from headrace.operators.aggregates import OPERATIONS, Aggregate, Column
from headrace.operators.folds import Operations, Values
from headrace.operators.rows import Rows


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """The folds of aggregates, those of integers and those of floats each a row of a table."""

    aggregates: Mapping[str, Aggregate]
    operations: Operations

    @classmethod
    def of(cls, aggregates: Mapping[str, Aggregate]) -> "FoldPlan":
        """Plan for these aggregates by name."""
        folds = [fold for one in aggregates.values() for fold in one.folds]
        ints, floats = (
            np.array([OPERATIONS[f.operation] for f in folds if f.number == number], np.int64)
            for number in ("int", "float")
        )
        return cls(dict(aggregates), Operations(ints, floats))

    @property
    def layout(self) -> str:
        """Return what tells these numbers from others."""
        return str([(name, one.folds) for name, one in self.aggregates.items()])

    def values(self, rows: Rows, records: pa.RecordBatch | None) -> Values:
        """Return what records bring; nothing where there are only rows that tell the time.

        Raises:  InvariantError if a column is missing, has nulls, or is of another kind.
        """
        ints = np.zeros((len(self.operations.ints), len(rows)), np.int64)
        floats = np.zeros((len(self.operations.floats), len(rows)), np.float64)
        places: dict[str, Iterator[IntArray] | Iterator[FloatArray]]
        places = {"int": iter(ints), "float": iter(floats)}
        for one in self.aggregates.values() if records is not None else ():
            for fold, column in zip(one.folds, one.values(records), strict=True):
                next(places[fold.number])[:] = column
        orders = np.zeros(len(rows), np.int64) if rows.orders is None else rows.orders
        return Values(rows.times_ns, orders, ints, floats)

    def results(self, ints: IntArray, floats: FloatArray) -> dict[str, pa.Array]:
        """Return by name what windows say that have gathered these numbers.

        Shapes:  a row a fold, an item a window in; an item a window out.
        """
        columns: dict[str, Iterator[Column]] = {"int": iter(ints), "float": iter(floats)}
        found = {}
        for name, one in self.aggregates.items():
            totals: Sequence[Column] = [next(columns[fold.number]) for fold in one.folds]
            found[name] = one.result(totals)
        return found
