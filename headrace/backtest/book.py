"""Orders, fills and profits of a run, gathered from the entries of its ledger."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from headrace import limits
from headrace.backtest.figures import Curve
from headrace.backtest.hits import Hits, definition
from headrace.batch import Part
from headrace.errors import TopologyError
from headrace.ledger import ORDERS, POSITIONS, QUOTES
from headrace.topology import Entries, Ledger

E8 = 10**8


@dataclass(slots=True)
class Order:
    """An order as its last change left it; value and fee are sums of its fills."""

    order_id: str
    first_time_ns: int
    last_time_ns: int
    account: str
    instrument: str
    side: str
    state: str
    reason: str
    quantity: float
    filled: float
    fills: int = 0
    value_e8: int = 0
    fee_e8: int = 0
    value_unit: str = ""
    fee_unit: str = ""


ORDER_LIST = pa.schema(
    [
        pa.field("order_id", pa.string()),
        pa.field("first_time_ns", pa.int64()),
        pa.field("last_time_ns", pa.int64()),
        *(pa.field(n, pa.string()) for n in ("account", "instrument", "side", "state", "reason")),
        pa.field("quantity", pa.float64()),
        pa.field("filled", pa.float64()),
        *(pa.field(name, pa.int64()) for name in ("fills", "value_e8", "fee_e8")),
        *(pa.field(name, pa.string()) for name in ("value_unit", "fee_unit")),
    ]
)


class Book:
    """Takes entries in as they are written; an entry is an object here, for orders are few."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.orders: dict[str, Order] = {}
        self.orders_not_listed: set[str] = set()
        self.fills = 0
        self.turnover_e8: Counter[str] = Counter()
        self.fees_e8: Counter[str] = Counter()
        self.profits: dict[str, Curve] = defaultdict(Curve)
        self._by_holding: dict[str, dict[str, int]] = defaultdict(dict)
        self.hits = Hits(ledger.horizon_ns)

    def add_orders(self, part: Part) -> None:
        """Take in changes of orders."""
        for row in _entries(self._ledger.orders, part, ORDERS).to_pylist():
            if row["fill"]:
                self.fills += 1
                self.turnover_e8[row["value_unit"]] += row["fill_value_e8"]
                self.fees_e8[row["fee_unit"]] += row["fill_fee_e8"]
                sign = 1 if row["side"] == "BUY" else -1
                self.hits.add_fill(row["stream"], row["time_ns"], sign)
            self._note(row)

    def add_positions(self, part: Part) -> None:
        """Take in what holdings have come to."""
        for row in _entries(self._ledger.positions, part, POSITIONS).to_pylist():
            holdings = self._by_holding[row["unit"]]
            holdings[row["holding"]] = row["profit_e8"]
            self.profits[row["unit"]].add(row["time_ns"], sum(holdings.values()) / E8)

    def add_quotes(self, part: Part) -> None:
        """Take in quotes."""
        self.hits.add_quotes(_entries(self._ledger.quotes, part, QUOTES))

    def _note(self, row: dict[str, Any]) -> None:
        order = self.orders.get(row["order_id"])
        if order is None:
            if len(self.orders) >= limits.BACKTEST_ORDERS_MAX:
                self.orders_not_listed.add(row["order_id"])
                return
            order = self.orders[row["order_id"]] = Order(
                row["order_id"],
                row["time_ns"],
                row["time_ns"],
                account=row["account"],
                instrument=row["instrument"],
                side=row["side"],
                state=row["state"],
                reason=row["reason"],
                quantity=row["quantity"],
                filled=row["filled"],
                value_unit=row["value_unit"],
                fee_unit=row["fee_unit"],
            )
        order.last_time_ns = max(order.last_time_ns, row["time_ns"])
        order.state, order.reason, order.filled = row["state"], row["reason"], row["filled"]
        order.fills += bool(row["fill"])
        order.value_e8 += row["fill_value_e8"]
        order.fee_e8 += row["fill_fee_e8"]

    def table(self) -> pa.Table:
        """Return the orders, a row each, in the order they were first heard of."""
        rows = [asdict(order) for order in self.orders.values()]
        return pa.Table.from_pylist(rows, schema=ORDER_LIST)

    def as_json(self) -> dict[str, Any]:
        """Return the figures of what the ledger names; what it leaves out is not there."""
        found: dict[str, Any] = {}
        if self._ledger.orders is not None:
            found |= self._orders_as_json()
        if self._ledger.orders is not None and self._ledger.quotes is not None:
            found["hit_rate"] = {
                "rate": self.hits.rate(),
                "hits": self.hits.hits,
                "misses": self.hits.misses,
                "unmoved": self.hits.unmoved,
                "unknown": self.hits.unknown,
                "definition": definition(self._ledger.horizon_ns),
            }
        if self._ledger.positions is not None:
            found["profit"] = {
                unit: {
                    "last": curve.last[1] if curve.last else None,
                    "highest": curve.highest,
                    "drawdown_max": curve.drawdown,
                    "curve": curve.all_points(),
                }
                for unit, curve in sorted(self.profits.items())
            }
            found["profit_says"] = self._ledger.profit_says
        return found

    def _orders_as_json(self) -> dict[str, Any]:
        orders = self.orders.values()
        filled = sum(1 for order in orders if order.fills)
        return {
            "orders": len(orders) + len(self.orders_not_listed),
            "orders_not_listed": len(self.orders_not_listed),
            "orders_by_state": dict(sorted(Counter(order.state for order in orders).items())),
            "fills": self.fills,
            "orders_filled_in_part_or_whole": filled,
            "fill_ratio": filled / len(orders) if orders else None,
            "turnover": {unit: e8 / E8 for unit, e8 in sorted(self.turnover_e8.items())},
            "fees": {unit: e8 / E8 for unit, e8 in sorted(self.fees_e8.items())},
        }


def _entries(entries: Entries | None, part: Part, schema: pa.Schema) -> pa.RecordBatch:
    if entries is None:
        raise TopologyError(f"topic {part.topic}: expected a ledger that names it, found none")
    found = entries.columns(part.records)
    if found.schema.names != schema.names or found.schema.types != schema.types:
        raise TopologyError(
            f"ledger entries of {part.topic}: expected the columns {schema.names} as "
            f"headrace/ledger.py has them, found {found.schema.names}"
        )
    return found
