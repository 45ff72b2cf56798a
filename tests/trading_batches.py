"""Builds batches for the trading agents' tests, and walks records through the whole chain."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from agents import check_risk, execute_orders, request_orders, simulate_venue
from agents.trading.decision import DecisionRule
from agents.trading.identity import client_order_id_of, request_id_of
from agents.trading.limits import AccountLimits, RiskLimits
from agents.trading.paper_venue import PaperVenueRules
from agents.trading.records import (
    AccountControl,
    OrderApproved,
    OrderEvent,
    OrderRequest,
    Position,
    VenueOrder,
    VenueReport,
    read_rows,
    schema_of,
    to_records,
)
from headrace import Batch, Output, Part, Topic
from schemas import topics

SOURCE = "recording"
SPOT = "binance-spot:BTCUSDT"
PERP = "binance-coinm:BTCUSD_PERP"
START_NS = 1_723_075_200_000_000_000
SECOND_NS = 1_000_000_000
BID_TICKS = 60_000 * 10**8
ASK_TICKS = 60_001 * 10**8

KINDS: dict[str, type[Any]] = {
    topics.ORDER_REQUEST.name: OrderRequest,
    topics.ORDER_APPROVED.name: OrderApproved,
    topics.ORDER_EVENT.name: OrderEvent,
    topics.ACCOUNT_CONTROL.name: AccountControl,
    topics.VENUE_ORDER.name: VenueOrder,
    topics.VENUE_REPORT.name: VenueReport,
    topics.POSITION.name: Position,
}

PREDICTION_SCHEMA = pa.schema(
    [
        ("instrument", pa.string()),
        ("source", pa.string()),
        ("sequence", pa.int64()),
        ("receive_time_ns", pa.int64()),
        ("model", pa.string()),
        ("probability_down", pa.float64()),
        ("probability_flat", pa.float64()),
        ("probability_up", pa.float64()),
        ("horizon_ns", pa.int64()),
        ("bid_price_ticks", pa.int64()),
        ("bid_size_lots", pa.int64()),
        ("ask_price_ticks", pa.int64()),
        ("ask_size_lots", pa.int64()),
        ("quote_time_ns", pa.int64()),
        ("quote_valid", pa.bool_()),
        ("book_valid", pa.bool_()),
    ]
)

QUOTE_SCHEMA = pa.schema(
    [
        ("instrument", pa.string()),
        ("source", pa.string()),
        ("sequence", pa.int64()),
        ("bid_price_ticks", pa.int64()),
        ("bid_size_lots", pa.int64()),
        ("ask_price_ticks", pa.int64()),
        ("ask_size_lots", pa.int64()),
        ("receive_time_ns", pa.int64()),
    ]
)


def prediction(sequence: int, **changed: Any) -> dict[str, Any]:
    """Return a prediction that asks for a purchase."""
    time_ns = changed.get("receive_time_ns", START_NS + sequence * SECOND_NS)
    row = {
        "instrument": SPOT,
        "source": SOURCE,
        "sequence": sequence,
        "receive_time_ns": time_ns,
        "model": "test",
        "probability_down": 0.1,
        "probability_flat": 0.1,
        "probability_up": 0.8,
        "horizon_ns": SECOND_NS,
        "bid_price_ticks": BID_TICKS,
        "bid_size_lots": 10**8,
        "ask_price_ticks": ASK_TICKS,
        "ask_size_lots": 10**8,
        "quote_time_ns": time_ns - 1_000_000,
        "quote_valid": True,
        "book_valid": True,
    }
    return row | changed


def quote(sequence: int, time_ns: int, **changed: Any) -> dict[str, Any]:
    """Return a quote."""
    row = {
        "instrument": SPOT,
        "source": SOURCE,
        "sequence": sequence,
        "bid_price_ticks": BID_TICKS,
        "bid_size_lots": 10**8,
        "ask_price_ticks": ASK_TICKS,
        "ask_size_lots": 10**8,
        "receive_time_ns": time_ns,
    }
    return row | changed


def request(sequence: int, **changed: Any) -> OrderRequest:
    """Return a request for a purchase of 0.01 that every check lets pass."""
    time_ns = changed.get("request_time_ns", START_NS + sequence * SECOND_NS)
    row = {
        "account": "paper",
        "strategy": "direction",
        "instrument": SPOT,
        "source": SOURCE,
        "signal_sequence": sequence,
        "side": "BUY",
        "quantity_lots": 10**6,
        "limit_price_ticks": ASK_TICKS,
        "bid_price_ticks": BID_TICKS,
        "ask_price_ticks": ASK_TICKS,
        "quote_time_ns": time_ns - 1_000_000,
        "quote_valid": True,
        "book_valid": True,
        "request_time_ns": time_ns,
    } | changed
    names = ("account", "strategy", "instrument", "source", "signal_sequence")
    return OrderRequest(**({"request_id": request_id_of(*(row[name] for name in names))} | row))


def venue_order(sequence: int, send_time_ns: int, **changed: Any) -> VenueOrder:
    """Return a purchase of 0.01."""
    row = {
        "client_order_id": client_order_id_of("paper", "direction", SPOT, SOURCE, sequence),
        "approval_id": "approval",
        "account": "paper",
        "instrument": SPOT,
        "source": SOURCE,
        "side": "BUY",
        "quantity_lots": 10**6,
        "limit_price_ticks": ASK_TICKS,
        "send_time_ns": send_time_ns,
    }
    return VenueOrder(**(row | changed))


def part_of(topic: Topic, records: pa.RecordBatch, partition: int = 0) -> Part:
    """Return a part whose wire bytes don't matter."""
    count = records.num_rows
    return Part(
        topic=topic.name,
        partition=partition,
        records=records,
        values=[b""] * count,
        keys=[None] * count,
        offsets=np.arange(count, dtype=np.int64),
        timestamps_ms=np.zeros(count, np.int64),
    )


def part(topic: Topic, rows: Sequence[Any]) -> Part:
    """Return a part of these rows: structs, or dicts for predictions and quotes."""
    if topic is topics.PREDICTION:
        return part_of(topic, pa.RecordBatch.from_pylist(list(rows), PREDICTION_SCHEMA))
    if topic is topics.QUOTE:
        return part_of(topic, pa.RecordBatch.from_pylist(list(rows), QUOTE_SCHEMA))
    kind = KINDS[topic.name]
    if not rows:
        return part_of(topic, pa.RecordBatch.from_pylist([], schema_of(kind)))
    return part_of(topic, to_records(kind, rows))


def merged(reads: Sequence[Topic], arrivals: Sequence[tuple[int, Any]]) -> Batch:
    """Return the batch of these (part, row) arrivals, seen in this order."""
    rows: list[list[Any]] = [[] for _ in reads]
    order_rows = []
    for which, row in arrivals:
        order_rows.append(len(rows[which]))
        rows[which].append(row)
    return Batch(
        tuple(part(topic, found) for topic, found in zip(reads, rows, strict=True)),
        np.array([which for which, _ in arrivals], np.uint8),
        np.array(order_rows, np.int64),
    )


def rows_of(output: Output, topic: Topic) -> list[Any]:
    """Return what an output has for a topic."""
    records = output.records.get(topic.name)
    return [] if records is None else read_rows(KINDS[topic.name], records)


RISK_READS = (topics.ACCOUNT_CONTROL, topics.ORDER_REQUEST, topics.ORDER_EVENT)
EXECUTE_READS = (topics.ACCOUNT_CONTROL, topics.ORDER_APPROVED, topics.VENUE_REPORT)
VENUE_READS = (topics.VENUE_ORDER, topics.QUOTE)


class Chain:
    """The five steps from prediction to position in one process, with every record they wrote."""

    def __init__(
        self,
        *,
        rule: DecisionRule | None = None,
        limits: AccountLimits | None = None,
        venue: PaperVenueRules | None = None,
    ) -> None:
        self.rule = rule or DecisionRule()
        self.limits = RiskLimits({"paper": limits or AccountLimits()})
        self.venue = venue or PaperVenueRules()
        self.signal_state = request_orders.TABLE.open()
        self.risk_state = check_risk.TABLE.open()
        self.order_state = execute_orders.TABLE.open()
        self.venue_state = simulate_venue.TABLE.open()
        self.written: dict[str, list[Any]] = {}
        self.counts: dict[str, int] = {}
        self.dead: list[Any] = []

    def predict(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take predictions all the way to the venue's door and back as far as quotes allow."""
        batch = Batch.of(part(topics.PREDICTION, rows))
        self._keep(request_orders.request_orders(batch, self.signal_state, self.rule))
        self._risk([(1, row) for row in self._new.get(topics.ORDER_REQUEST.name, [])])

    def quote(self, rows: Sequence[dict[str, Any]]) -> None:
        """Show the venue quotes and follow what it answers."""
        self._venue([(1, row) for row in rows])

    def control(self, row: AccountControl) -> None:
        """Give risk and execution an operator's word."""
        self._execute([(0, row)])
        self._risk([(0, row)])

    def _risk(self, arrivals: list[tuple[int, Any]]) -> None:
        batch = merged(RISK_READS, arrivals)
        self._keep(check_risk.check_risk(batch, self.risk_state, self.limits))
        approved = self._new.get(topics.ORDER_APPROVED.name, [])
        if approved:
            self._execute([(1, row) for row in approved])

    def _execute(self, arrivals: list[tuple[int, Any]]) -> None:
        batch = merged(EXECUTE_READS, arrivals)
        self._keep(execute_orders.execute_orders(batch, self.order_state))
        new = self._new
        orders = new.get(topics.VENUE_ORDER.name, [])
        if orders:
            self._venue([(0, row) for row in orders])
        self._risk([(2, row) for row in new.get(topics.ORDER_EVENT.name, [])])

    def _venue(self, arrivals: list[tuple[int, Any]]) -> None:
        batch = merged(VENUE_READS, arrivals)
        self._keep(simulate_venue.simulate_venue(batch, self.venue_state, self.venue))
        reports = self._new.get(topics.VENUE_REPORT.name, [])
        if reports:
            self._execute([(2, row) for row in reports])

    def _keep(self, output: Output) -> None:
        self._new = {
            name: read_rows(KINDS[name], records) if name in KINDS else records.to_pylist()
            for name, records in output.records.items()
        }
        for name, rows in self._new.items():
            self.written.setdefault(name, []).extend(rows)
        for name, number in output.counts.items():
            self.counts[name] = self.counts.get(name, 0) + number
        self.dead.extend(output.dead)
