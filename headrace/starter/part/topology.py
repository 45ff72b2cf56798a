"""What the graph starter is for: say it in a line."""

from agents.starter import STARTER_BY_KEY, starter

from feeds import open_feed
from headrace import Source, Step, Topic, Topology
from schemas.topics import FRAME

OUTPUT = Topic("starter.count.v1", "starter.v1", key=("key",), cleanup="compact")

TOPOLOGY = Topology(
    name="starter",
    source=Source(FRAME, open_feed, defaults=("walk:10000",)),
    steps=(
        Step(
            "count",
            starter,
            reads=(FRAME,),
            writes=(OUTPUT,),
            table=STARTER_BY_KEY,
            parameters={"key": "source", "output": OUTPUT.name},
        ),
    ),
)
