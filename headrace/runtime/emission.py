"""Records that are written to one topic: values, keys, and where each of them goes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.avro.schema import AvroSchema
from headrace.avro.wire import encode
from headrace.batch import Headers, IntArray
from headrace.byte_column import ByteColumn
from headrace.kafka.partitioner import partitions_of
from headrace.kafka.producer import Producer
from headrace.topology import Topic


@dataclass(frozen=True, slots=True)
class TopicCodec:
    """How the records of a topic are written: its schema and the schema's id."""

    topic: Topic
    schema: AvroSchema
    schema_id: int


@dataclass(frozen=True, slots=True)
class Emission:
    """Records a step or a gateway writes to one topic, ready to send.

    Shapes:  one item a record; `headers` is None where no record has any. `timestamps_ms`, of what
             caused each record, is None where nobody asks for it.
    """

    step: str
    topic: str
    values: ByteColumn
    keys: ByteColumn
    partitions: IntArray
    headers: Sequence[Headers] | None
    timestamps_ms: IntArray | None = None


def emission_of(
    step: str,
    records: pa.RecordBatch,
    codec: TopicCodec,
    headers: Sequence[Headers] | None,
    timestamps_ms: IntArray | None = None,
) -> Emission:
    """Return what a step writes to a codec's topic."""
    topic = codec.topic
    values, keys = encode_records(records, codec)
    narrower = topic.partition_key != topic.key
    placed_by = keys_of(records, topic.partition_key) if narrower else keys
    # Chosen here, where a batch is hashed at once; the client would look for each record's.
    partitions = partitions_of(placed_by, topic.partitions)
    return Emission(step, topic.name, values, keys, partitions, headers, timestamps_ms)


def in_every_partition(written: Emission, topic: Topic) -> list[Emission]:
    """Return the same records for each partition of their topic."""
    count = len(written.values)
    return [
        replace(written, partitions=np.full(count, number)) for number in range(topic.partitions)
    ]


def send_emission(producer: Producer, emission: Emission) -> None:
    """Queue what was written; a push or a flush is to come behind it.

    Raises:  what the producer raises.
    """
    producer.send(
        emission.topic,
        emission.values,
        emission.keys,
        partitions=emission.partitions,
        headers=emission.headers,
        is_followed=True,
    )


def encode_records(records: pa.RecordBatch, codec: TopicCodec) -> tuple[ByteColumn, ByteColumn]:
    """Return the values and keys of these records, ready to send."""
    values = encode(records, codec.schema, codec.schema_id)
    return values, keys_of(records, codec.topic.key)


def keys_of(records: pa.RecordBatch, fields: Sequence[str]) -> ByteColumn:
    """Return the key of each record: the text of these fields, joined by `/`."""
    columns = [records.column(field) for field in fields]
    text, *others = [c if c.type == pa.string() else c.cast(pa.string()) for c in columns]
    if others:
        text = pc.binary_join_element_wise(text, *others, "/")
    return ByteColumn(
        pa.Array.from_buffers(pa.binary(), len(text), text.buffers(), offset=text.offset)
    )
