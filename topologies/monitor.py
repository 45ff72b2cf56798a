"""The monitor: from exchange frames to odd vectors, and features and predictions that drift."""

from agents.monitor.prediction_watch import WATCH_BY_STREAM as PREDICTION_WATCH_BY_STREAM
from agents.monitor.watch import WATCH_BY_STREAM
from agents.watch_features import watch_features
from agents.watch_predictions import watch_predictions
from feeds import open_feed
from headrace import Sink, Source, Step, Topology
from schemas import topics as t
from topologies._market import FEATURES, INFERENCE, INGEST

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
        INFERENCE,
        Step(
            "predictions",
            watch_predictions,
            reads=(t.PREDICTION,),
            writes=(t.PREDICTION_DRIFT,),
            table=PREDICTION_WATCH_BY_STREAM,
        ),
    ),
    sinks=(
        Sink("postgres", t.MONITOR),
        Sink("redis", t.MONITOR),
    ),
)
