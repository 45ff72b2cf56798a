"""Windows as one would write them down: record by record, in plain Python, slow and obvious."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from headrace.operators import Hopping, Rows, Session, Windows, operator_table
from headrace.operators.rows import KEY_REFUSED
from headrace.state.pages import PageKey
from headrace.state.tables import ObjectState
from tests.table_store import keep_changes

OPERATOR = "windows"


class Record(NamedTuple):
    """One record of a stream."""

    key: str
    time_ns: int
    order: int
    value: int
    weight: float
    punctuation: bool = False


@dataclass
class Window:
    """An open window and all its records, in the order they came."""

    key: str
    start: int
    end: int
    records: list[Record] = field(default_factory=list)
    fresh: bool = True


@dataclass
class Reference:
    """Takes one record at a time; emits (row, final, key, start, end, what the window says)."""

    windows: Windows
    open: list[Window] = field(default_factory=list)
    latest: int | None = None
    emitted: list[tuple[Any, ...]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def take(self, row: int, record: Record) -> None:
        before = self.latest
        self.latest = record.time_ns if before is None else max(before, record.time_ns)
        watermark = self.latest - self.windows.lateness_ns
        self._close(row, watermark)
        if not record.punctuation:
            self._place(row, record, watermark)
        every = self.windows.early_every_ns
        if every and before is not None:
            step_before = (before - self.windows.lateness_ns) // every
            if watermark // every > step_before:
                fresh = [window for window in self.open if window.fresh]
                self._emit(row, fresh, final=False)

    def _place(self, row: int, record: Record, watermark: int) -> None:
        found = [w for w in self._windows_of(record) if w.end > watermark]
        if not found:
            self.late.append(row)
            return
        keys = {window.key for window in self.open}
        if record.key not in keys and len(keys) == self.windows.keys_max:
            self.refused.append(row)
            return
        for window in found:
            window.records.append(record)
            window.fresh = True
            if not any(window is held for held in self.open):
                self.open.append(window)

    def _windows_of(self, record: Record) -> list[Window]:
        mine = [window for window in self.open if window.key == record.key]
        kind = self.windows.kind
        if isinstance(kind, Hopping):
            spans = hopping_spans(kind, record.time_ns)
            held = {(window.start, window.end): window for window in mine}
            return [held.get(span) or Window(record.key, *span) for span in spans]
        return [self._session_of(kind, mine, record)]

    def _session_of(self, kind: Session, mine: list[Window], record: Record) -> Window:
        cut = record.time_ns // kind.length_ns_max * kind.length_ns_max
        start = record.time_ns
        end = min(start + kind.gap_ns, cut + kind.length_ns_max)
        near = [w for w in mine if cut <= w.start < end and w.end > start]
        if not near:
            return Window(record.key, start, end)
        near.sort(key=lambda window: window.start)
        into = near[0]
        for other in near[1:]:
            into.records += other.records
            self.open = [window for window in self.open if window is not other]
        into.start = min(start, into.start)
        into.end = max(end, *(window.end for window in near))
        return into

    def _close(self, row: int, watermark: int) -> None:
        closed = [window for window in self.open if window.end <= watermark]
        self.open = [window for window in self.open if window.end > watermark]
        self._emit(row, closed, final=True)

    def _emit(self, row: int, windows: Sequence[Window], *, final: bool) -> None:
        for window in sorted(windows, key=lambda window: (window.end, window.key)):
            window.fresh = False
            span = (window.key, window.start, window.end)
            self.emitted.append((row, final, *span, *said(window.records)))


def hopping_spans(kind: Hopping, time_ns: int) -> Iterator[tuple[int, int]]:
    start = time_ns // kind.hop_ns * kind.hop_ns
    while start + kind.size_ns > time_ns:
        yield start, start + kind.size_ns
        start -= kind.hop_ns


def said(records: Sequence[Record]) -> tuple[Any, ...]:
    """Return count, sum, mean, least, largest, first, last and VWAP of the values."""
    values = [record.value for record in records]
    # Python sorts stably: of equals the first to arrive is first, the last to arrive is last.
    ordered = sorted(records, key=lambda record: (record.time_ns, record.order))
    weighted = sum(record.value * abs(record.value) for record in records)
    volume = sum(abs(value) for value in values)
    return (
        len(values),
        min(sum(values), 2**63 - 1),  # `IntSum` is held at its limit
        sum(values) / len(values),
        min(values),
        max(values),
        ordered[0].value,
        ordered[-1].value,
        (2 * weighted + volume) // (2 * volume) if volume else None,
    )


def told(
    windows: Windows, records: Sequence[Record], cuts: Sequence[int], restart_after: set[int]
) -> tuple[list[tuple[Any, ...]], list[int], list[int], list[float]]:
    """Return what the operator says of records in batches cut so, its state committed after each.

    In the reference's form: emitted, late and refused rows; and the sums of weights.
    """
    table = operator_table("test.windows_by_key.v1", {OPERATOR: windows})
    state: ObjectState[Any] = table.open()
    store: dict[PageKey, bytes] = {}
    emitted: list[tuple[Any, ...]] = []
    late: list[int] = []
    refused: list[int] = []
    weights: list[float] = []
    borders = [0, *cuts, len(records)]
    for number, (first, end) in enumerate(pairwise(borders)):
        found = windows.add(state.edit(OPERATOR), *columns_of(records[first:end]))
        for cause, row in zip(found.causes.tolist(), found.records.to_pylist(), strict=True):
            weights.append(row.pop("weight"))
            key, start, close, final, *rest = row.values()
            emitted.append((first + cause, final, key, start, close, *rest))
        late += (found.left_out.rows() + first).tolist()
        refused += (found.left_out.rows(KEY_REFUSED) + first).tolist()
        keep_changes(store, state)
        if number in restart_after:
            state = table.open()
            state.restore(store)
    return emitted, late, refused, weights


def columns_of(records: Sequence[Record]) -> tuple[Rows, pa.RecordBatch]:
    """Return records as the operator takes them."""
    rows = Rows(
        pa.array([record.key for record in records], pa.string()),
        np.array([record.time_ns for record in records], np.int64),
        np.array([record.order for record in records], np.int64),
        np.array([record.punctuation for record in records], np.bool_),
    )
    columns = {
        "value": pa.array([record.value for record in records], pa.int64()),
        "size": pa.array([abs(record.value) for record in records], pa.int64()),
        "weight": pa.array([record.weight for record in records], pa.float64()),
    }
    return rows, pa.RecordBatch.from_pydict(columns)
