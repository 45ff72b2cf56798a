"""A topology over a feed without Kafka: the records it would write, to train and judge models."""

import time
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from headrace.avro.schema import AvroSchema, load_schema
from headrace.avro.wire import Decoder
from headrace.batch import Part
from headrace.errors import InvariantError, TopologyError
from headrace.feed import Feed
from headrace.inference import Model
from headrace.project import Project
from headrace.runtime.chain import Chain, LoadedStep
from headrace.runtime.emission import TopicCodec, encode_records
from headrace.runtime.feed_writer import block_records
from headrace.topology import Step, Topology

PARTITION = 0
SCHEMA_ID = 1
"""Nothing leaves the process, so every schema may have the same id."""


def offline_tables(
    project: Project, topology: Topology, feed: Feed, topics: Sequence[str]
) -> dict[str, pa.Table]:
    """Return by topic what the topology writes there, given all that the feed holds.

    Runs the steps these topics need, fused, in one partition. Dead letters are left out.
    Raises:  TopologyError if no step writes one of the topics.
    """
    steps = _needed(topology, topics)
    codecs = {
        topic.name: TopicCodec(topic, load_schema(project.schemas, topic.schema), SCHEMA_ID)
        for topic in (topology.source.topic, *(t for s in steps for t in (*s.reads, *s.writes)))
    }
    chain = Chain([_load(project, step, codecs) for step in steps], PARTITION)
    found: dict[str, list[pa.RecordBatch]] = {topic: [] for topic in topics}
    for part in _parts(feed, codecs[topology.source.topic.name]):
        for emission in chain.process([part], time.monotonic()).emissions:
            if emission.topic in found:
                schema = codecs[emission.topic].schema
                found[emission.topic].append(_decoded(emission.values, schema))
    return {
        topic: pa.Table.from_batches(batches, codecs[topic].schema.arrow)
        for topic, batches in found.items()
    }


def _needed(topology: Topology, topics: Sequence[str]) -> list[Step]:
    """Return the steps that write these topics, or what those steps read, in flow order."""
    wanted = set(topics)
    steps: list[Step] = []
    for step in reversed(topology.steps):
        if wanted & {topic.name for topic in step.writes}:
            steps.insert(0, step)
            wanted |= {topic.name for topic in step.reads}
    unwritten = set(topics) - {topic.name for step in steps for topic in step.writes}
    if unwritten:
        raise TopologyError(
            f"topology {topology.name}: expected a step that writes "
            f"{', '.join(sorted(unwritten))}, found none; name topics of `headrace topics`"
        )
    return steps


def _load(project: Project, step: Step, codecs: dict[str, TopicCodec]) -> LoadedStep:
    arguments = dict(step.parameters)
    if step.model is not None:
        arguments["model"] = Model.load(project.folder / step.model)
    names = {topic.name for topic in (*step.reads, *step.writes)}
    return LoadedStep(step, {name: codecs[name] for name in names}, arguments)


def _parts(feed: Feed, codec: TopicCodec) -> Iterator[Part]:
    offset = 0
    for block in feed.blocks({}):
        records = block_records(block, codec.schema.arrow)
        count = records.num_rows
        values, keys = encode_records(records, codec)
        yield Part(
            codec.topic.name,
            PARTITION,
            records,
            values,
            keys,
            np.arange(offset, offset + count),
            np.asarray(block.receive_times_ns) // 1_000_000,
        )
        offset += count


def _decoded(values: Sequence[bytes | None], schema: AvroSchema) -> pa.RecordBatch:
    decoded = Decoder(schema, lambda _: schema).decode(values)
    if decoded.bad:
        raise InvariantError(
            f"schema {schema.name}: expected what was just written, found {decoded.bad[0]}"
        )
    return decoded.records
