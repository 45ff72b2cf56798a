"""Avro behind Confluent's header, for the peers in Python: fastavro, compiled schemas, no registry.

What a registry's client does per record (a lock, a look at the schema) is left out in their favour.
"""

import io
import os
from collections.abc import Callable
from typing import Any

import fastavro

Record = dict[str, Any]

HEADER_BYTES = 5


def header(schema_id: int) -> bytes:
    """Return the bytes before a record: 0, and the schema's id."""
    return b"\x00" + schema_id.to_bytes(4, "big")


def trade_reader() -> Callable[[bytes], Record]:
    """Return what decodes a framed trade."""
    schema = fastavro.schema.load_schema(os.environ["BENCH_INPUT_SCHEMA"])
    expected = header(int(os.environ["BENCH_INPUT_SCHEMA_ID"]))

    def read(value: bytes) -> Record:
        if value[:HEADER_BYTES] != expected:
            raise ValueError(f"expected a value that begins with {expected!r}, found {value[:5]!r}")
        return fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), schema, None)

    return read


def output_writer() -> Callable[[Record], bytes]:
    """Return what encodes a record of the job's output."""
    schema = fastavro.schema.load_schema(os.environ["BENCH_OUTPUT_SCHEMA"])
    begin = header(int(os.environ["BENCH_OUTPUT_SCHEMA_ID"]))

    def write(record: Record) -> bytes:
        buffer = io.BytesIO()
        buffer.write(begin)
        fastavro.schemaless_writer(buffer, schema, record)
        return buffer.getvalue()

    return write
