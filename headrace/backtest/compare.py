"""Two backtests held together: figures that differ, topics that are not the same bytes, orders."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from headrace.errors import UsageError

REPORT = "report.json"
ORDERS = "orders.parquet"

UNCOMPARED = frozenset({"elapsed_s", "frames_a_second", "busy_s", "curve", "histogram", "examples"})
"""What differs between two runs of the same, or is told by other figures."""

EXAMPLES_MAX = 20


def read_report(folder: Path) -> dict[str, Any]:
    """Return the report of a backtest in a folder.

    Raises:  UsageError if there is none.
    """
    try:
        found: dict[str, Any] = json.loads((folder / REPORT).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{folder}: expected the folder of a backtest, with {REPORT}: {error}; "
            "name what --out named"
        ) from error
    return found


def compare(this: Path, other: Path) -> dict[str, Any]:
    """Return what differs between two backtests, each `[this, other]`; nothing that is the same."""
    found = dict(_differences(read_report(this), read_report(other)))
    return {
        "this": str(this),
        "other": str(other),
        "topics": [
            name.split("/")[1]
            for name in found
            if name.startswith("topics/") and name.endswith("/digest")
        ],
        "figures": {n: pair for n, pair in found.items() if not n.endswith("/digest")},
        "orders": _orders(this, other),
    }


def _differences(this: Any, other: Any, where: str = "") -> Iterator[tuple[str, list[Any]]]:
    if isinstance(this, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys([*this, *other]):
            if name not in UNCOMPARED:
                place = f"{where}/{name}" if where else name
                yield from _differences(this.get(name), other.get(name), place)
    elif isinstance(this, list) and isinstance(other, list) and len(this) == len(other):
        for number, pair in enumerate(zip(this, other, strict=True)):
            yield from _differences(*pair, f"{where}/{number}")
    elif this != other:
        yield where, [this, other]


def _orders(this: Path, other: Path) -> dict[str, Any] | None:
    """Return how the lists of orders differ; None if a run has none."""
    if not ((this / ORDERS).exists() and (other / ORDERS).exists()):
        return None
    mine, others = (
        {row["order_id"]: row for row in pq.read_table(folder / ORDERS).to_pylist()}
        for folder in (this, other)
    )
    changed = {
        name: {
            field: [mine[name][field], others[name][field]]
            for field in mine[name]
            if mine[name][field] != others[name][field]
        }
        for name in mine.keys() & others.keys()
        if mine[name] != others[name]
    }
    return {
        "only_in_this": len(mine.keys() - others.keys()),
        "only_in_other": len(others.keys() - mine.keys()),
        "changed": len(changed),
        "examples_only_in_this": sorted(mine.keys() - others.keys())[:EXAMPLES_MAX],
        "examples_only_in_other": sorted(others.keys() - mine.keys())[:EXAMPLES_MAX],
        "examples_changed": dict(sorted(changed.items())[:EXAMPLES_MAX]),
    }


def is_same(found: Mapping[str, Any]) -> bool:
    """Say whether nothing differs."""
    orders = found["orders"] or {}
    return not (
        found["topics"]
        or found["figures"]
        or any(orders.get(name) for name in ("only_in_this", "only_in_other", "changed"))
    )
