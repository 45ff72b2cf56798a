"""The paper exchange's memory: orders, reports and what is still to happen, in SQLite."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec

from agents.trading.paper_venue import PaperVenueRules
from agents.trading.records import VenueOrder, VenueReport
from gateways.paper_exchange.filling import reports_of

SCHEMA = """
    CREATE TABLE IF NOT EXISTS orders (
        id TEXT PRIMARY KEY, content BLOB, placements INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS report (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL,
        UNIQUE (id, sequence)
    );
    CREATE TABLE IF NOT EXISTS pending (id TEXT PRIMARY KEY, due_ns INTEGER, bodies BLOB);
"""
"""An order whose content is NULL is none: its id was canceled before it came, and stays blocked.
`placements` counts the requests to place it: above 1, a client has sent it again.
"""


class Placed(Enum):
    """What became of a request to place an order."""

    NEW = "new"
    REPEATED = "repeated"
    CONFLICTING = "conflicting"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Said:
    """A report as it is told: its number over all, its JSON."""

    number: int
    body: bytes


class Ledger:
    """Every method is one transaction that is on disk when it returns."""

    def __init__(
        self, path: Path, *, rules: PaperVenueRules, partial: float, fill_delay_s: float
    ) -> None:
        self._rules = rules
        self._partial = partial
        self._fill_delay_ns = int(fill_delay_s * 1e9)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(SCHEMA)

    def place(self, order: VenueOrder, now_ns: int) -> Placed:
        """Take an order whose id is new; it is acknowledged now and filled after the delay."""
        content = msgspec.json.encode(order)
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            found = self._db.execute(
                "UPDATE orders SET placements = placements + 1 WHERE id = ? RETURNING content",
                (order.client_order_id,),
            ).fetchone()
            if found is not None:
                if found[0] is None:
                    return Placed.BLOCKED
                return Placed.REPEATED if found[0] == content else Placed.CONFLICTING
            self._db.execute(
                "INSERT INTO orders VALUES (?, ?, 1)", (order.client_order_id, content)
            )
            first, *rest = reports_of(order, self._rules, partial=self._partial)
            self._say(first, is_last=not rest)
            if rest:
                bodies = msgspec.json.encode(rest)
                self._db.execute(
                    "INSERT INTO pending VALUES (?, ?, ?)",
                    (order.client_order_id, now_ns + self._fill_delay_ns, bodies),
                )
        return Placed.NEW

    def settle(self, now_ns: int) -> None:
        """Let everything happen that is due."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            due = self._db.execute(
                "DELETE FROM pending WHERE due_ns <= ? RETURNING id, bodies", (now_ns,)
            ).fetchall()
            for _, bodies in sorted(due):
                reports = msgspec.json.decode(bodies, type=list[VenueReport])
                for report in reports:
                    self._say(report, is_last=report is reports[-1])

    def cancel(self, identity: str) -> None:
        """End an order that is not filled yet; block the id of one that never came."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR IGNORE INTO orders VALUES (?, NULL, 0)", (identity,))
            found = self._db.execute(
                "DELETE FROM pending WHERE id = ? RETURNING bodies", (identity,)
            ).fetchone()
            if found is not None:
                self._say(self._canceled(identity, found[0]), is_last=True)

    def reports(self, identity: str) -> list[Said]:
        """Return what was said of an order, in order; nothing if there is no such order."""
        return self._said(
            "SELECT number, body FROM report WHERE id = ? ORDER BY sequence", (identity,)
        )

    def executions(self, after: int, limit: int) -> tuple[list[Said], int]:
        """Return reports numbered above `after`, and the last number there is."""
        found = self._said(
            "SELECT number, body FROM report WHERE number > ? ORDER BY number LIMIT ?",
            (after, limit),
        )
        (end,) = self._db.execute("SELECT coalesce(max(number), 0) FROM report").fetchone()
        return found, int(end)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _canceled(self, identity: str, pending: bytes) -> VenueReport:
        first = msgspec.json.decode(pending, type=list[VenueReport])[0]
        (content,) = self._db.execute(
            "SELECT content FROM orders WHERE id = ?", (identity,)
        ).fetchone()
        lots = msgspec.json.decode(content, type=VenueOrder).quantity_lots
        return msgspec.structs.replace(
            first,
            kind="CANCELED",
            quantity_lots=lots,
            price_ticks=0,
            fee_e8=0,
            reason="canceled_on_request",
            quote_sequence=0,
        )

    def _say(self, report: VenueReport, *, is_last: bool) -> None:
        body = msgspec.json.encode(msgspec.structs.asdict(report) | {"is_last": is_last})
        self._db.execute(
            "INSERT INTO report (id, sequence, body) VALUES (?, ?, ?)",
            (report.client_order_id, report.report_sequence, body),
        )

    def _said(self, query: str, values: Sequence[str | int]) -> list[Said]:
        return [Said(number, body) for number, body in self._db.execute(query, values)]
