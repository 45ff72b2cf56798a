"""A feed through a topology without Kafka."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from headrace import limits
from headrace.batch import IntArray
from headrace.feed import Feed
from headrace.local.graph import LocalGraph
from headrace.runtime.emission import TopicCodec, emission_of
from headrace.runtime.feed_writer import block_records

FEED = "feed"
"""Who writes the source's topic."""


def replay(
    feed: Feed,
    graph: LocalGraph,
    codec: TopicCodec,
    batch_records: int | None = limits.BATCH_RECORDS_MAX,
) -> Iterator[int]:
    """Run all that a feed holds through the graph; yield the time in ms after each batch.

    What is yielded is the time before which everything is settled. `batch_records` frames make a
    batch; as the feed has them if it is None. The last batch is settled when the iterator ends.
    """
    cut = _cut(_blocks(feed, codec.schema.arrow), batch_records)
    for records, stamps_ms, known_ms in _by_time(cut):
        graph.write(emission_of(FEED, records, codec, None, stamps_ms))
        graph.settle(known_ms)
        yield known_ms
    graph.settle()


def _by_time(
    batches: Iterator[pa.RecordBatch],
) -> Iterator[tuple[pa.RecordBatch, IntArray, int]]:
    """Yield batches, their times, and the time before which all has come.

    A batch ends with a millisecond, so that what is of one is not parted; as far as a batch holds
    it.
    """
    held: list[pa.RecordBatch] = []
    clock_ms = 0
    for batch in batches:
        records = pa.concat_batches([*held, batch])
        stamps_ms = _stamps(records, clock_ms)
        last_ms = int(stamps_ms[-1])
        count = int(stamps_ms.searchsorted(last_ms, side="left"))
        if not count and records.num_rows > limits.BATCH_RECORDS_MAX:
            count = records.num_rows
        held = [records.slice(count)]
        if count:
            clock_ms = int(stamps_ms[count - 1])
            yield records.slice(0, count), stamps_ms[:count], last_ms
    if held and held[0].num_rows:
        stamps_ms = _stamps(held[0], clock_ms)
        yield held[0], stamps_ms, int(stamps_ms[-1])


def _stamps(records: pa.RecordBatch, clock_ms: int) -> IntArray:
    """Return when the frames were received, in ms, never before the frame ahead of it."""
    received_ns = records.column("receive_time_ns").to_numpy()
    stamps_ms: IntArray = np.maximum.accumulate(np.maximum(received_ns // 1_000_000, clock_ms))
    return stamps_ms


def _blocks(feed: Feed, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for block in feed.blocks({}):
        records = block_records(block, schema)
        if records.num_rows:
            yield records


def _cut(blocks: Iterator[pa.RecordBatch], size: int | None) -> Iterator[pa.RecordBatch]:
    """Yield the same records in batches of one size, the last one smaller."""
    if size is None:
        yield from blocks
        return
    held: list[pa.RecordBatch] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.num_rows
        while count >= size:
            together = pa.concat_batches(held)
            yield together.slice(0, size)
            held, count = [together.slice(size)], count - size
    if count:
        yield pa.concat_batches(held)
