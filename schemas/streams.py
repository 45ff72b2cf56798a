"""How the trades and quotes of one instrument from one source are named together: a stream."""

import pyarrow as pa
import pyarrow.compute as pc

SEPARATOR = "\t"
"""In no instrument's name, so that two streams never share a name."""


def stream_of(source: str, instrument: str) -> str:
    """Return the name of what is counted, remembered and followed together."""
    return f"{instrument}{SEPARATOR}{source}"


def streams_of(records: pa.RecordBatch) -> pa.Array:
    """Return the stream of each record."""
    return pc.binary_join_element_wise(
        records.column("instrument"), records.column("source"), SEPARATOR
    )


def instrument_in(stream: str) -> str:
    """Return the name of a stream's instrument."""
    return stream.partition(SEPARATOR)[0]
