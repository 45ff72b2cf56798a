"""One step with as much state as its input has keys: 4 KiB a key."""

from agents.count_touches import PAGE_BY_KEY, count_touches

from headrace import Source, Step, Topic, Topology
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions

TOUCH = Topic("wide.touch.v1", "touch.v1", key=("key",))
COUNT = Topic("wide.count.v1", "count.v1", key=("key",))


def no_feed(text: str, options: FeedOptions) -> Feed:  # noqa: ARG001 (what a Source opens)
    """Refuse: the benchmark writes the input itself."""
    raise FeedError(f"feed {text!r}: this project has none; benchmarks/takeover.py writes to it")


TOPOLOGY = Topology(
    name="wide",
    source=Source(TOUCH, no_feed, defaults=("none",)),
    steps=(Step("count", count_touches, reads=(TOUCH,), writes=(COUNT,), table=PAGE_BY_KEY),),
)
