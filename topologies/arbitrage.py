"""The arbitrage graph: from exchange frames to how far futures stand from spot, and signals."""

from agents.arbitrage.legs import LEGS
from agents.rekey_quotes import rekey_quotes
from agents.track_basis import TABLE as QUOTE_BY_ASSET
from agents.track_basis import BasisRule, track_basis
from feeds import open_feed
from headrace import Sink, Source, Step, Topology
from schemas import topics as t
from topologies._market import INGEST

TOPOLOGY = Topology(
    name="arbitrage",
    source=Source(t.FRAME, open_feed, defaults=("sim:2",)),
    steps=(
        INGEST,
        Step(
            "legs",
            rekey_quotes,
            reads=(t.QUOTE,),
            writes=(t.ASSET_QUOTE,),
            parameters={"legs": LEGS},
        ),
        Step(
            "basis",
            track_basis,
            reads=(t.ASSET_QUOTE,),
            writes=(t.BASIS, t.BASIS_SIGNAL),
            table=QUOTE_BY_ASSET,
            parameters={"rule": BasisRule()},
        ),
    ),
    sinks=(
        Sink("postgres", t.ARBITRAGE),
        Sink("redis", t.ARBITRAGE),
    ),
)
