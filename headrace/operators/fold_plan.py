"""Where the numbers of several aggregates stand among those that a window keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.batch import FloatArray, IntArray
from headrace.operators.aggregates import OPERATIONS, Aggregate, Column, Fold
from headrace.operators.folds import ADD, Operations, Values
from headrace.operators.rows import Rows


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """The folds of aggregates: each a row of a table of integers or of floats.

    Counts stand after all other integers, a row a counter; `counts` are their places by name.
    """

    aggregates: Mapping[str, Aggregate]
    operations: Operations
    counts: Mapping[str, int]

    @classmethod
    def of(cls, aggregates: Mapping[str, Aggregate]) -> "FoldPlan":
        """Plan for these aggregates by name."""
        folds = [fold for one in aggregates.values() for fold in one.folds]
        counted = {fold.name: fold for fold in folds if fold.operation == "count"}
        plain = [fold for fold in folds if fold.operation != "count"]
        ints, floats = (
            [OPERATIONS[fold.operation] for fold in plain if fold.number == number]
            for number in ("int", "float")
        )
        counters = np.cumsum([len(ints), *(fold.counters for fold in counted.values())])
        ints += [ADD] * (int(counters[-1]) - len(ints))
        operations = Operations(*(np.array(c, np.int64) for c in (ints, floats, counters)))
        return cls(
            dict(aggregates), operations, {name: place for place, name in enumerate(counted)}
        )

    @property
    def layout(self) -> str:
        """Return what tells these numbers from others."""
        folds = str([(name, one.folds) for name, one in self.aggregates.items()])
        return f"{folds} {list(self.counts)}" if self.counts else folds

    @property
    def counters(self) -> int:
        """Return how many counters a window has."""
        return int(self.operations.counters[-1] - self.operations.counters[0])

    def values(self, rows: Rows, records: pa.RecordBatch | None) -> Values:
        """Return what records bring; nothing where there are only rows that tell the time.

        Raises:  InvariantError if a column is missing, has nulls, or is of another kind.
        """
        ints = np.zeros((int(self.operations.counters[0]), len(rows)), np.int64)
        floats = np.zeros((len(self.operations.floats), len(rows)), np.float64)
        counted = np.zeros((len(self.counts), len(rows)), np.int64)
        places: dict[str, Iterator[IntArray] | Iterator[FloatArray]]
        places = {"int": iter(ints), "float": iter(floats)}
        for one in self.aggregates.values() if records is not None else ():
            for fold, column in zip(one.folds, one.values(records), strict=True):
                if fold.operation == "count":
                    counted[self.counts[fold.name]] = column
                else:
                    next(places[fold.number])[:] = column
        orders = np.zeros(len(rows), np.int64) if rows.orders is None else rows.orders
        return Values(rows.times_ns, orders, ints, floats, counted)

    def results(self, ints: IntArray, floats: FloatArray) -> pa.RecordBatch:
        """Return what windows say that have gathered these numbers, a column an aggregate.

        Shapes:  a row a fold or counter, an item a window in; an item a window out.
        """
        columns: dict[str, Iterator[Column]] = {"int": iter(ints), "float": iter(floats)}

        def total(fold: Fold) -> Column:
            if fold.operation != "count":
                return next(columns[fold.number])
            first, end = self.operations.counters[self.counts[fold.name] :][:2]
            return ints[first:end]

        found = {
            name: one.result([total(fold) for fold in one.folds])
            for name, one in self.aggregates.items()
        }
        return pa.RecordBatch.from_pydict(found)
