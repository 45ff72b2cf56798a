"""Writes the rows of a table to every partition of a reference topic: what changed, at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from headrace import limits
from headrace.byte_column import ByteColumn
from headrace.errors import UsageError
from headrace.kafka.read_all import read_all
from headrace.kafka.transaction import TransactionalProducer
from headrace.reference.difference import Difference, difference
from headrace.reference.rows import FittedRows, RefusedRow, Row, fit_rows
from headrace.runtime.emission import TopicCodec, encode_records

CLIENT = "headrace-reference"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: rows of the table, and how many of them changed in some partition."""

    rows: int
    changed: int = 0
    removed: int = 0
    refused: Sequence[RefusedRow] = field(default_factory=tuple)


class ReferenceLoader:
    """The one that loads a topic: whoever opens it later ends this one's work.

    It knows what the topic holds, as nobody else writes there while it is not fenced.
    """

    def __init__(self, codec: TopicCodec, bootstrap: str) -> None:
        """Fence whoever loaded the topic before, then read what it holds."""
        topic = codec.topic
        self._codec = codec
        self._producer = TransactionalProducer(bootstrap, CLIENT, f"{CLIENT}.{topic.name}")
        self._written: list[dict[bytes, bytes]] = [{} for _ in range(topic.partitions)]
        for part in read_all(bootstrap, {topic.name: topic.partitions}):
            note_written(self._written[part.partition], part.keys, part.values)

    def load(self, rows: Sequence[Row]) -> Loaded:
        """Write what differs, in one transaction: readers see all of it or none.

        Raises:  AbortedError, FencedError, TransientError, of a transaction; UsageError if the rows
                 take more bytes than may be. Nothing counts then.
        """
        fitted = fit_rows(rows, self._codec.schema, self._codec.topic.key)
        wanted = self._encoded(fitted)
        refused = {row.key.encode() for row in fitted.refused}
        found = [difference(wanted, written, refused) for written in self._written]
        if any(found):
            for partition, one in enumerate(found):
                self._send(partition, one, wanted)
            self._producer.commit({}, None)
        for written, one in zip(self._written, found, strict=True):
            written.update((key, wanted[key]) for key in one.changed)
            for key in one.removed:
                del written[key]
        changed = {key for one in found for key in one.changed}
        removed = {key for one in found for key in one.removed}
        return Loaded(len(rows), len(changed), len(removed), fitted.refused)

    def _encoded(self, fitted: FittedRows) -> dict[bytes, bytes]:
        values, keys = encode_records(fitted.records, self._codec)
        if values.array.nbytes > limits.REFERENCE_BYTES_MAX:
            raise UsageError(
                f"topic {self._codec.topic.name}: expected rows of at most "
                f"{limits.REFERENCE_BYTES_MAX:,} bytes in all, which every partition holds, found "
                f"{values.array.nbytes:,}; leave columns or rows out by a view"
            )
        return dict(zip(_bytes(keys), _bytes(values), strict=True))

    def _send(self, partition: int, one: Difference, wanted: Mapping[bytes, bytes]) -> None:
        keys = [*one.changed, *one.removed]
        values = [*(wanted[key] for key in one.changed), *[None] * len(one.removed)]
        self._producer.send(
            self._codec.topic.name,
            ByteColumn(pa.array(values, pa.binary())),
            ByteColumn(pa.array(keys, pa.binary())),
            partition=partition,
        )
        # The client's queue has room for the rows of one partition, not of all.
        self._producer.flush()


def note_written(
    written: dict[bytes, bytes],
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
) -> None:
    """Note in `written` what these records of one partition say, the last of a key."""
    for key, value in zip(keys, values, strict=True):
        if key is None:
            continue  # of a foreign writer; readers make a dead letter of it
        if value is None:
            written.pop(key, None)
        else:
            written[key] = value


def _bytes(column: ByteColumn) -> list[bytes]:
    return [item or b"" for item in column]
