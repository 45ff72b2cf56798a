"""The trading graph: from exchange frames to orders, fills and positions."""

from agents.check_risk import TABLE as EXPOSURE_BY_ACCOUNT
from agents.check_risk import check_risk
from agents.execute_orders import TABLE as ORDER_BY_ACCOUNT
from agents.execute_orders import execute_orders
from agents.request_orders import TABLE as SIGNAL_BY_STREAM
from agents.request_orders import request_orders
from agents.simulate_venue import TABLE as VENUE_BY_STREAM
from agents.simulate_venue import simulate_venue
from agents.trading.decision import DecisionRule
from agents.trading.limits import RiskLimits
from agents.trading.paper_venue import PaperVenueRules
from feeds import open_feed
from headrace import Panel, Sink, Source, Step, Topology
from proofs.trading import trading_proof
from schemas import topics as t
from topologies._controls import trading_controls
from topologies._ledger import LEDGER
from topologies._market import FEATURES, INFERENCE, INGEST
from topologies._panels import position_row

LIMITS = RiskLimits()

TOPOLOGY = Topology(
    name="trading",
    source=Source(t.FRAME, open_feed, defaults=("live:binance:BTC/USDT,ETH/USDT", "sim:3")),
    steps=(
        INGEST,
        FEATURES,
        INFERENCE,
        Step(
            "decision",
            request_orders,
            reads=(t.PREDICTION,),
            writes=(t.ORDER_REQUEST,),
            table=SIGNAL_BY_STREAM,
            parameters={"rule": DecisionRule()},
        ),
        Step(
            "risk",
            check_risk,
            reads=(t.ACCOUNT_CONTROL, t.ORDER_REQUEST, t.ORDER_EVENT),
            writes=(t.ORDER_APPROVED, t.ORDER_REJECTED),
            table=EXPOSURE_BY_ACCOUNT,
            parameters={"limits": LIMITS},
        ),
        Step(
            "execution",
            execute_orders,
            reads=(t.ACCOUNT_CONTROL, t.ORDER_APPROVED, t.VENUE_REPORT),
            writes=(t.VENUE_ORDER, t.ORDER_EVENT, t.POSITION),
            table=ORDER_BY_ACCOUNT,
        ),
        Step(
            "venue",
            simulate_venue,
            reads=(t.VENUE_ORDER, t.QUOTE),
            writes=(t.VENUE_REPORT,),
            table=VENUE_BY_STREAM,
            parameters={"venue": PaperVenueRules()},
        ),
    ),
    sinks=(
        Sink("postgres", t.OUTPUTS),
        Sink("redis", t.OUTPUTS),
    ),
    panels=(Panel("positions and PnL", t.POSITION, position_row),),
    controls=trading_controls(LIMITS),
    proof=trading_proof(LIMITS),
    ledger=LEDGER,
)
