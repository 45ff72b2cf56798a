"""The topics of this project."""

from headrace import Topic

FRAME = Topic("starter.frame.v1", "frame.v1", key=("source",))
TRADE = Topic("starter.trade.v1", "trade.v1", key=("symbol",))
AVERAGE = Topic("starter.average.v1", "average.v1", key=("symbol",), cleanup="compact")
