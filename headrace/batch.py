"""What an agent is given and what it gives back: columns, never single records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Headers: TypeAlias = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Part:
    """The records of one topic in a batch, in log order, all of one partition.

    Shapes:  `values`, `keys`, `headers`, `offsets`, `timestamps_ms`: `records.num_rows` items.
             `headers` is None where no record of the part carries any.
    """

    topic: str
    partition: int
    records: pa.RecordBatch
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]
    offsets: IntArray
    timestamps_ms: IntArray
    headers: Sequence[Headers] | None = None

    def __len__(self) -> int:
        """Return how many records the part has."""
        return int(self.records.num_rows)


@dataclass(frozen=True, slots=True)
class Batch:
    """One event of the engine: what a step reads next, one part for each topic it reads.

    `parts` stand in the order of the step's `reads`; a part may be empty.
    Row `i` of the batch is row `order_rows[i]` of part `order_parts[i]`: the one order in which
    an agent with several inputs sees them.
    """

    parts: tuple[Part, ...]
    order_parts: npt.NDArray[np.uint8]
    order_rows: IntArray

    def __len__(self) -> int:
        """Return how many records the batch has over all its parts."""
        return len(self.order_rows)

    @property
    def records(self) -> pa.RecordBatch:
        """Return the columns of a batch that has a single part."""
        (part,) = self.parts
        return part.records

    @classmethod
    def of(cls, part: Part) -> "Batch":
        """Return the batch of a step that reads one topic."""
        count = len(part)
        return cls((part,), np.zeros(count, np.uint8), np.arange(count, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A record an agent cannot process: which one, and why.

    `cause` is a stable code for counting; `detail` tells a person what was expected and found.
    """

    part: int
    row: int
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Output:
    """What an agent makes of a batch.

    `records` holds one RecordBatch a topic, columns by the fields of the topic's schema.
    `causes` may say for a topic which batch row caused each output row: headers follow it.
    `counts` are added to the step's counters: every input record an agent drops is in one of them.
    """

    records: Mapping[str, pa.RecordBatch] = field(default_factory=dict)
    dead: Sequence[DeadRow] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[str, IntArray] = field(default_factory=dict)


class Selection:
    """Columns of batches by their names; where they stand is looked up once a schema.

    For batches of a few records: there looking up costs more than selecting.
    """

    __slots__ = ("_found", "names")

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        # One value: threads may share a selection.
        self._found: tuple[pa.Schema | None, list[int]] = (None, [])

    def of(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Return these columns, in this order.

        Raises:  ValueError if one is not there.
        """
        schema, places = self._found
        if schema is None or not schema.equals(records.schema):
            found = records.schema.names
            places = [found.index(name) for name in self.names]
            self._found = records.schema, places
        return records.select(places)
