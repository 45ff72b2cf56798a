"""The trading graph with a real venue: the same steps, orders leave through a gateway."""

from dataclasses import replace

from gateways import open_rest_venue
from headrace import Gateway
from schemas import topics as t
from topologies.trading import TOPOLOGY as TRADING

TOPOLOGY = replace(
    TRADING,
    name="trading_gateway",
    steps=tuple(step for step in TRADING.steps if step.name != "venue"),
    gateways=(
        Gateway("venue", reads=(t.VENUE_ORDER,), writes=(t.VENUE_REPORT,), open=open_rest_venue),
    ),
)
