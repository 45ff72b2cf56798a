"""One step: ticks in, running vwap out."""

from agents.running_vwap import VWAP_BY_SYMBOL, running_vwap

from headrace import Source, Step, Topic, Topology
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions

TICK = Topic("sample.tick.v1", "tick.v1", key=("symbol",), partitions=4)
VWAP = Topic("sample.vwap.v1", "vwap.v1", key=("symbol",), partitions=4)


def no_feed(text: str, options: FeedOptions) -> Feed:  # noqa: ARG001 (what a Source opens)
    """Refuse: the tests write ticks themselves."""
    raise FeedError(f"feed {text!r}: this sample has none")


TOPOLOGY = Topology(
    name="vwap",
    source=Source(TICK, no_feed, defaults=("none",)),
    steps=(Step("vwap", running_vwap, reads=(TICK,), writes=(VWAP,), table=VWAP_BY_SYMBOL),),
)
