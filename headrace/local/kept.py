"""What a run without Kafka has written, kept until somebody reads it; what counts and what not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headrace import limits
from headrace.batch import Part
from headrace.errors import UsageError
from headrace.runtime.chain import Dead

PLACES = (
    pa.field("kafka_partition", pa.int32()),
    pa.field("kafka_offset", pa.int64()),
    pa.field("kafka_time_ms", pa.int64()),
)
"""Where a record lies and when it was written, as `Invariant.check` is given them."""

LETTER = pa.schema(
    [
        pa.field("step", pa.string()),
        *PLACES[:2],
        pa.field("cause", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
    ]
)


@dataclass(slots=True)
class KeptTopic:
    """The unread records of one topic: those that count, and those since the last commit."""

    committed: list[Part] = field(default_factory=list)
    uncommitted: list[Part] = field(default_factory=list)
    records: int = 0

    def add(self, part: Part) -> None:
        """Keep records that do not count yet.

        Raises:  UsageError if more are kept than may be.
        """
        self.records += len(part)
        if self.records > limits.LOCAL_KEPT_RECORDS_MAX:
            raise UsageError(
                f"topic {part.topic}: expected at most {limits.LOCAL_KEPT_RECORDS_MAX:,} records "
                "that nobody has read; read the topic more often, or name those to keep"
            )
        self.uncommitted.append(part)

    def commit(self) -> None:
        """Make all that is kept count."""
        self.committed += self.uncommitted
        self.uncommitted = []

    def abort(self) -> None:
        """Forget what does not count."""
        self.records -= sum(len(part) for part in self.uncommitted)
        self.uncommitted = []

    def take(self) -> list[Part]:
        """Return what counts and was not read, in the order it was written."""
        found, self.committed = self.committed, []
        self.records -= sum(len(part) for part in found)
        return found


@dataclass(slots=True)
class KeptLetters:
    """The unread dead letters of one topic, as `KeptTopic`; those over the limit are dropped."""

    committed: list[Dead] = field(default_factory=list)
    uncommitted: list[Dead] = field(default_factory=list)

    def add(self, letter: Dead) -> None:
        """Keep a letter that does not count yet."""
        if len(self.committed) + len(self.uncommitted) < limits.LOCAL_DEAD_KEPT_MAX:
            self.uncommitted.append(letter)

    def commit(self) -> None:
        """Make all that is kept count."""
        self.committed += self.uncommitted
        self.uncommitted = []

    def abort(self) -> None:
        """Forget what does not count."""
        self.uncommitted = []

    def take(self) -> list[Dead]:
        """Return what counts and was not read."""
        found, self.committed = self.committed, []
        return found


def table_of(parts: Sequence[Part], schema: pa.Schema, *, places: bool = False) -> pa.Table:
    """Return parts of a topic as one table; with `places` behind the columns of `PLACES`."""
    if not places:
        return pa.Table.from_batches([part.records for part in parts], schema)
    whole = pa.schema([*PLACES, *schema])
    return pa.Table.from_batches([_placed(part, whole) for part in parts], whole)


def letters_table(letters: Sequence[Dead]) -> pa.Table:
    """Return dead letters as a table, columns as `LETTER`."""
    columns = {
        "step": [letter.step for letter in letters],
        "kafka_partition": [letter.partition for letter in letters],
        "kafka_offset": [letter.offset for letter in letters],
        "cause": [letter.cause for letter in letters],
        "detail": [letter.detail for letter in letters],
        "key": [letter.key for letter in letters],
        "value": [letter.value for letter in letters],
    }
    return pa.Table.from_pydict(columns, schema=LETTER)


def _placed(part: Part, schema: pa.Schema) -> pa.RecordBatch:
    places = [
        pa.array(np.full(len(part), part.partition, np.int32)),
        pa.array(part.offsets),
        pa.array(part.timestamps_ms),
    ]
    return pa.RecordBatch.from_arrays([*places, *part.records.columns], schema=schema)
