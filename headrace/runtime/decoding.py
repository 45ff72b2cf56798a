"""What was read of a log as columns, and what of it is no record."""

from collections.abc import Sequence

from headrace.avro.wire import BadValue, Decoder
from headrace.batch import Part
from headrace.kafka.fetched import RawPart


def decode_part(raw: RawPart, decoder: Decoder) -> tuple[Part, Sequence[BadValue]]:
    """Return the records among what was read, and the rest by its rows in `raw`."""
    decoded = decoder.decode(raw.values)
    good = raw.take(decoded.rows) if decoded.bad else raw
    part = Part(
        good.topic,
        good.partition,
        decoded.records,
        good.values,
        good.keys,
        good.offsets,
        good.timestamps_ms,
        good.headers,
    )
    return part, decoded.bad
