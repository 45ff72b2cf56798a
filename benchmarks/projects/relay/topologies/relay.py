"""Five steps, each of which passes on what it reads: fused one process, or five."""

import os

from agents.pass_on import pass_on

from headrace import Source, Step, Topic, Topology
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions

GUARANTEE = os.environ.get("BENCH_GUARANTEE", "at_least_once")
"""As a bare hop does it, unless the benchmark asks for more."""

HOPS = [Topic(f"relay.hop{number}.v1", "hop.v1", key=("key",)) for number in range(6)]


def no_feed(text: str, options: FeedOptions) -> Feed:  # noqa: ARG001 (what a Source opens)
    """Refuse: the benchmark writes the input itself."""
    raise FeedError(f"feed {text!r}: this project has none; benchmarks/latency writes to it")


TOPOLOGY = Topology(
    name="relay",
    source=Source(HOPS[0], no_feed, defaults=("none",)),
    steps=tuple(
        Step(
            f"hop{number}",
            pass_on,
            reads=(HOPS[number - 1],),
            writes=(HOPS[number],),
            parameters={"output": HOPS[number].name},
            processing_guarantee=GUARANTEE,
        )
        for number in range(1, len(HOPS))
    ),
)
