"""Counts the frames of each source, and sums up what they say."""

import msgspec
import pyarrow as pa

from headrace import Batch, ObjectTable, Output, StructCodec
from headrace.state.tables import ObjectState


class Tally(msgspec.Struct, array_like=True):
    """What is known of a source."""

    sequence: int = 0
    frames: int = 0
    total: int = 0


TALLY_BY_SOURCE = ObjectTable(
    "count_frames.tally_by_source.v1", StructCodec(Tally, lambda _: Tally())
)


def count_frames(batch: Batch, state: ObjectState[Tally]) -> Output:
    """Return count and sum after each frame; one that comes again is dropped by its sequence."""
    (part,) = batch.parts
    columns = [part.records.column(n).to_pylist() for n in ("source", "sequence", "payload")]
    rows = []
    causes = []
    for row, (source, sequence, payload) in enumerate(zip(*columns, strict=True)):
        tally = state.edit(source)
        if sequence <= tally.sequence:
            continue
        tally.sequence = sequence
        tally.frames += 1
        tally.total += int(payload)
        rows.append((source, sequence, tally.frames, tally.total))
        causes.append(row)
    names = ("source", "sequence", "frames", "total")
    kinds = (pa.string(), pa.int64(), pa.int64(), pa.int64())
    records = pa.record_batch(
        [pa.array([r[n] for r in rows], kind) for n, kind in enumerate(kinds)], names=names
    )
    return Output({"sample.count.v1": records}, causes={"sample.count.v1": causes})
