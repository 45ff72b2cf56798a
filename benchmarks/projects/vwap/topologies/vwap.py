"""Stateful: trades in, the running price of each symbol out."""

from agents.track_vwap import SUM_BY_SYMBOL, track_vwap

from headrace import Source, Step, Topic, Topology
from topologies._run import GUARANTEE, OUTPUT, PARTITIONS, RUN, TRADE, no_feed

VWAP = Topic(OUTPUT, "vwap.v1", key=("symbol",), partitions=PARTITIONS)

TOPOLOGY = Topology(
    name=RUN,
    source=Source(TRADE, no_feed, defaults=("none",)),
    steps=(
        Step(
            "vwap",
            track_vwap,
            reads=(TRADE,),
            writes=(VWAP,),
            table=SUM_BY_SYMBOL,
            parameters={"output": OUTPUT},
            processing_guarantee=GUARANTEE,
        ),
    ),
)
