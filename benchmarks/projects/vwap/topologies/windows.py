"""Event time: trades in, what each symbol did in every window out, once that is closed."""

import os

from agents.gather_windows import gather_windows

from headrace import Source, Step, Topic, Topology
from headrace.operators import Count, IntSum, Vwap, Windows, operator_table, tumbling
from topologies._run import GUARANTEE, OUTPUT, RUN, TRADE, no_feed

NS_A_MS = 1_000_000

WINDOW = Topic(OUTPUT, "window.v1", key=("symbol",))
WINDOWS = {
    f"{size_ms} ms": Windows(
        tumbling(int(size_ms) * NS_A_MS),
        {
            "trades": Count(),
            "volume_lots": IntSum("size_lots"),
            "vwap_ticks": Vwap("price_ticks", "size_lots"),
        },
        lateness_ns=int(os.environ["BENCH_GRACE_MS"]) * NS_A_MS,
        late="drop",
    )
    for size_ms in os.environ["BENCH_WINDOWS_MS"].split(",")
}

TOPOLOGY = Topology(
    name=RUN,
    source=Source(TRADE, no_feed, defaults=("none",)),
    steps=(
        Step(
            "windows",
            gather_windows,
            reads=(TRADE,),
            writes=(WINDOW,),
            table=operator_table("gather_windows.window_by_operator.v1", WINDOWS),
            parameters={"output": OUTPUT, "windows": WINDOWS},
            processing_guarantee=GUARANTEE,
        ),
    ),
)
