"""One step: trades in, trades with what a table of instruments says of them out."""

from agents.price_trades import TABLE, price_trades

from headrace import Source, Step, Topic, Topology
from headrace.errors import FeedError
from headrace.feed import Feed, FeedOptions

TRADE = Topic("sample.trade.v1", "trade.v1", key=("number",), partitions=3)
INSTRUMENT = Topic(
    "reference.instrument.v1",
    "instrument.v1",
    key=("venue", "instrument"),
    partitions=3,
    cleanup="compact",
    reference=True,
)
PRICED = Topic("sample.priced.v1", "priced.v1", key=("number",), partitions=3)


def no_feed(text: str, options: FeedOptions) -> Feed:  # noqa: ARG001 (what a Source opens)
    """Refuse: the tests write trades themselves."""
    raise FeedError(f"feed {text!r}: this sample has none")


TOPOLOGY = Topology(
    name="enrich",
    source=Source(TRADE, no_feed, defaults=("none",)),
    steps=(Step("price", price_trades, reads=(TRADE, INSTRUMENT), writes=(PRICED,), table=TABLE),),
)
