"""What differs from run to run: the benchmark gives each fresh topics, group and state."""

import os

from headrace import Topic
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions

RUN = os.environ["BENCH_GROUP"]
OUTPUT = os.environ["BENCH_OUTPUT"]
GUARANTEE = os.environ["BENCH_GUARANTEE"]
SIZE_LOTS_MIN = int(os.environ["BENCH_SIZE_LOTS_MIN"])
PARTITIONS = int(os.environ.get("BENCH_PARTITIONS", "8"))
TRADE = Topic(os.environ["BENCH_INPUT"], "trade.v1", key=("symbol",), partitions=PARTITIONS)


def no_feed(text: str, options: FeedOptions) -> Feed:  # noqa: ARG001 (what a Source opens)
    """Refuse: the benchmark writes the input itself."""
    raise FeedError(f"feed {text!r}: this project has none; benchmarks/throughput writes to it")
