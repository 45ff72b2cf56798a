"""What an agent has to say while it walks through a batch, gathered into one Output."""

from collections import Counter
from typing import Any

import msgspec
import numpy as np

from agents.trading.records import to_records
from headrace import DeadRow, Output, Topic


class Outbox:
    """Rows by topic with the batch row that caused each, dead rows and counts."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Any]] = {}
        self._causes: dict[str, list[int]] = {}
        self._dead: list[DeadRow] = []
        self._counts: Counter[str] = Counter()

    def emit(self, topic: Topic, row: msgspec.Struct, *, cause: int) -> None:
        """Add a row to a topic; all rows of a topic are of one type."""
        self._rows.setdefault(topic.name, []).append(row)
        self._causes.setdefault(topic.name, []).append(cause)

    def bury(self, part: int, row: int, cause: str, detail: str) -> None:
        """Add a record that cannot be processed."""
        self._dead.append(DeadRow(part, row, cause, detail))

    def count(self, name: str, number: int = 1) -> None:
        """Add to a count; nothing is added for 0."""
        if number:
            self._counts[name] += number

    def output(self) -> Output:
        """Return everything gathered."""
        return Output(
            records={name: to_records(type(rows[0]), rows) for name, rows in self._rows.items()},
            dead=tuple(self._dead),
            counts=dict(self._counts),
            causes={name: np.array(rows, np.int64) for name, rows in self._causes.items()},
        )
