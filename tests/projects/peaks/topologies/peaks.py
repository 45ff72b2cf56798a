"""Two steps that share no task: ticks in, tallies between, peaks out."""

from agents.find_peaks import LAST_BY_SYMBOL, find_peaks
from agents.tally_ticks import SUM_BY_SYMBOL, tally_ticks

from headrace import Source, Step, Topic, Topology
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions

TICK = Topic("sample.tick.v1", "tick.v1", key=("symbol",), partitions=4)
TALLY = Topic("sample.tally.v1", "tally.v1", key=("symbol",), partitions=2)
PEAK = Topic("sample.peak.v1", "peak.v1", key=("symbol",), partitions=2)


def no_feed(text: str, options: FeedOptions) -> Feed:  # noqa: ARG001 (what a Source opens)
    """Refuse: the tests write ticks themselves."""
    raise FeedError(f"feed {text!r}: this sample has none")


TOPOLOGY = Topology(
    name="peaks",
    source=Source(TICK, no_feed, defaults=("none",)),
    steps=(
        Step("tally", tally_ticks, reads=(TICK,), writes=(TALLY,), table=SUM_BY_SYMBOL),
        Step("peaks", find_peaks, reads=(TALLY,), writes=(PEAK,), table=LAST_BY_SYMBOL),
    ),
)
