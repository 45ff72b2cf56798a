"""The monitor: from exchange frames to feature vectors that are odd, and features that drift."""

from agents.build_features import WINDOWS_BY_STREAM, build_features
from agents.ingest_frames import MARKET_BY_SOURCE, ingest_frames
from agents.monitor.watch import WATCH_BY_STREAM
from agents.watch_features import watch_features
from feeds import open_feed
from headrace import Sink, Source, Step, Topology
from schemas import topics as t

TOPOLOGY = Topology(
    name="monitor",
    source=Source(t.FRAME, open_feed, defaults=("live:binance:BTC/USDT,ETH/USDT", "sim:3")),
    steps=(
        Step(
            "ingest",
            ingest_frames,
            reads=(t.FRAME,),
            writes=(t.TRADE, t.QUOTE, t.BOOK, t.INSTRUMENT),
            table=MARKET_BY_SOURCE,
        ),
        Step(
            "features",
            build_features,
            reads=(t.TRADE, t.QUOTE),
            merge=("source", "instrument"),
            writes=(t.FEATURE,),
            table=WINDOWS_BY_STREAM,
        ),
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
