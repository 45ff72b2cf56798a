"""Cutting and joining the parts of batches."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from headrace.batch import IntArray, Part
from headrace.byte_column import concat, take


def empty_part(topic: str, partition: int, schema: pa.Schema) -> Part:
    """Return a part of that topic without records."""
    none = np.empty(0, np.int64)
    return Part(topic, partition, pa.RecordBatch.from_pylist([], schema=schema), [], [], none, none)


def take_rows(part: Part, rows: IntArray) -> Part:
    """Return the part with these rows only."""
    return Part(
        part.topic,
        part.partition,
        part.records.take(pa.array(rows)),
        take(part.values, rows),
        take(part.keys, rows),
        part.offsets[rows],
        part.timestamps_ms[rows],
        None if part.headers is None else [part.headers[row] for row in rows.tolist()],
    )


def concat_parts(parts: Sequence[Part]) -> Part:
    """Return parts of one topic as one, in this order."""
    if len(parts) == 1:
        return parts[0]
    headers = None
    if any(part.headers is not None for part in parts):
        headers = [h for p in parts for h in (p.headers or [()] * len(p))]
    return replace(
        parts[0],
        records=pa.Table.from_batches([p.records for p in parts]).combine_chunks().to_batches()[0],
        values=concat([part.values for part in parts]),
        keys=concat([part.keys for part in parts]),
        offsets=np.concatenate([part.offsets for part in parts]),
        timestamps_ms=np.concatenate([part.timestamps_ms for part in parts]),
        headers=headers,
    )
