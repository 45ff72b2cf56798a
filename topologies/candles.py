"""The candle graph: from exchange frames to candles of seconds, minutes and hours."""

from agents.build_candles import TABLE as SECOND_BY_STREAM
from agents.build_candles import build_candles
from agents.roll_candles import TABLE as LONGER_BY_STREAM
from agents.roll_candles import roll_candles
from feeds import open_feed
from headrace import Sink, Source, Step, Topology
from schemas import topics as t
from topologies._market import INGEST

TOPOLOGY = Topology(
    name="candles",
    source=Source(t.FRAME, open_feed, defaults=("live:binance:BTC/USDT,ETH/USDT", "sim:3")),
    steps=(
        INGEST,
        Step(
            "candles",
            build_candles,
            reads=(t.TRADE,),
            writes=(t.CANDLE_SECOND,),
            table=SECOND_BY_STREAM,
        ),
        Step(
            "rolling",
            roll_candles,
            reads=(t.CANDLE_SECOND,),
            writes=(t.CANDLE_MINUTE, t.CANDLE_HOUR),
            table=LONGER_BY_STREAM,
        ),
    ),
    sinks=(
        Sink("postgres", t.CANDLES),
        Sink("redis", t.CANDLES),
    ),
)
