"""A halt holds everywhere, from soon after it was said until it is taken back."""

from collections.abc import Iterator, Sequence
from typing import Any

from agents.trading.controls import EVERY_ACCOUNT, HALTED
from proofs.rows import Tables, rows_of
from schemas import topics as t

HALT_S_MAX = 15.0
"""Until every partition obeys. Without faults a fraction of a second; a worker that was killed or
stopped with approvals in hand may be away for 10 s, and meets the halt when it comes back."""


def orders_while_halted(tables: Tables) -> Sequence[str]:
    """Return the orders sent while all accounts were halted, the bound after the word once over."""
    spans = list(halts(tables))
    return [
        f"order {row['client_order_id']} sent {(row['kafka_time_ms'] - said_ms) / 1e3:.1f} s after "
        f"the halt, partition {row['kafka_partition']}"
        for row in rows_of(tables, t.ORDER_EVENT.name)
        if row["state"] == "SENT"
        for said_ms, over_ms in spans
        if said_ms + HALT_S_MAX * 1e3 <= row["kafka_time_ms"] < over_ms
    ]


def halts(tables: Tables) -> Iterator[tuple[int, float]]:
    """Yield when all accounts were halted in every partition, and when the first was let go again.

    Units:  ms of the operator's clock.
    """
    said_ms: int | None = None
    words = rows_of(tables, t.ACCOUNT_CONTROL.name)
    for row in sorted((row for row in words if row["account"] == EVERY_ACCOUNT), key=_time):
        if row["state"] == HALTED:
            said_ms = row["kafka_time_ms"]
        elif said_ms is not None:
            yield said_ms, row["kafka_time_ms"]
            said_ms = None
    if said_ms is not None:
        yield said_ms, float("inf")


def _time(row: Any) -> int:
    time_ms: int = row["kafka_time_ms"]
    return time_ms
