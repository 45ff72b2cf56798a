"""What was read of a log as columns, and what of it is no record."""

from collections.abc import Sequence
from itertools import accumulate

import pyarrow as pa

from headrace import limits
from headrace.avro.wire import HEADER_BYTES, BadValue, Decoder
from headrace.batch import Part
from headrace.byte_column import concat
from headrace.kafka.fetched import RawPart


def decode_parts(
    raws: Sequence[RawPart], decoder: Decoder
) -> list[tuple[Part, Sequence[BadValue]]]:
    """Return `decode_part` of what was read of one topic; of few records in one go.

    Of few most of the time goes by call, not by record.
    """
    counts = [len(raw.offsets) for raw in raws]
    if len(raws) > 1 and sum(counts) <= limits.DRAFT_RECORDS_MAX and _are_of_one_schema(raws):
        decoded = decoder.decode(concat([raw.values for raw in raws]))
        if not decoded.bad:
            starts = accumulate(counts, initial=0)
            pieces = (decoded.records.slice(s, n) for s, n in zip(starts, counts, strict=False))
            return [(_part(raw, piece), ()) for raw, piece in zip(raws, pieces, strict=True)]
    return [decode_part(raw, decoder) for raw in raws]


def _are_of_one_schema(raws: Sequence[RawPart]) -> bool:
    """Say whether their first records are: of two, none could be decoded in one go."""
    return len({(raw.values[0] or b"")[:HEADER_BYTES] for raw in raws}) == 1


def decode_part(raw: RawPart, decoder: Decoder) -> tuple[Part, Sequence[BadValue]]:
    """Return the records among what was read, and the rest by its rows in `raw`."""
    decoded = decoder.decode(raw.values)
    good = raw.take(decoded.rows) if decoded.bad else raw
    return _part(good, decoded.records), decoded.bad


def _part(raw: RawPart, records: pa.RecordBatch) -> Part:
    return Part(
        raw.topic,
        raw.partition,
        records,
        raw.values,
        raw.keys,
        raw.offsets,
        raw.timestamps_ms,
        raw.headers,
    )
