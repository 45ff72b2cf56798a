"""From frames to average prices."""

from agents.average_prices import SUM_BY_SYMBOL, average_prices
from agents.read_trades import read_trades

from feeds import open_feed
from headrace import Source, Step, Topology
from schemas import topics as t

TOPOLOGY = Topology(
    name="starter",
    source=Source(t.FRAME, open_feed, defaults=("walk:10000",)),
    steps=(
        Step(
            "read",
            read_trades,
            reads=(t.FRAME,),
            writes=(t.TRADE,),
            parameters={"output": t.TRADE.name},
        ),
        Step(
            "average",
            average_prices,
            reads=(t.TRADE,),
            writes=(t.AVERAGE,),
            table=SUM_BY_SYMBOL,
            parameters={"output": t.AVERAGE.name},
        ),
    ),
)
