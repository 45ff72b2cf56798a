"""Stateless: trades in, the larger ones out with what they were worth."""

from agents.keep_large import keep_large

from headrace import Source, Step, Topic, Topology
from topologies._run import GUARANTEE, OUTPUT, RUN, SIZE_LOTS_MIN, TRADE, no_feed

NOTIONAL = Topic(OUTPUT, "notional.v1", key=("symbol",))

TOPOLOGY = Topology(
    name=RUN,
    source=Source(TRADE, no_feed, defaults=("none",)),
    steps=(
        Step(
            "filter",
            keep_large,
            reads=(TRADE,),
            writes=(NOTIONAL,),
            parameters={"output": OUTPUT, "size_lots_min": SIZE_LOTS_MIN},
            processing_guarantee=GUARANTEE,
        ),
    ),
)
