"""A feed through a topology without Kafka."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from headrace import limits
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
    clock_ms = 0
    for records in _cut(_blocks(feed, codec.schema.arrow), batch_records):
        received_ns = records.column("receive_time_ns").to_numpy()
        stamps_ms = np.maximum.accumulate(np.maximum(received_ns // 1_000_000, clock_ms))
        clock_ms = int(stamps_ms[-1])
        graph.write(emission_of(FEED, records, codec, None, stamps_ms))
        # More may come that is of the same time.
        graph.settle(clock_ms)
        yield clock_ms
    graph.settle()


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
