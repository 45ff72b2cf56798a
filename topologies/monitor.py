"""The monitor: from exchange frames to feature vectors that are odd, and features that drift."""

from agents.monitor.watch import WATCH_BY_STREAM
from agents.watch_features import watch_features
from feeds import open_feed
from headrace import Sink, Source, Step, Topology
from schemas import topics as t
from topologies._market import FEATURES, INGEST

TOPOLOGY = Topology(
    name="monitor",
    source=Source(t.FRAME, open_feed, defaults=("live:binance:BTC/USDT,ETH/USDT", "sim:3")),
    steps=(
        INGEST,
        FEATURES,
        Step(
            "watch",
            watch_features,
            reads=(t.FEATURE,),
            writes=(t.ANOMALY, t.DRIFT),
            table=WATCH_BY_STREAM,
        ),
    ),
    sinks=(
        Sink("postgres", (t.ANOMALY, t.DRIFT)),
        Sink("redis", (t.ANOMALY, t.DRIFT)),
    ),
)
