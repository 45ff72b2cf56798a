"""A window a row: what the rows of its key did in the span of event time that ends with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray
from headrace.errors import UsageError
from headrace.operators.aggregates import Aggregate
from headrace.operators.fold_plan import FoldPlan
from headrace.operators.held_rows import Held, HeldRows, concatenated, load_held
from headrace.operators.limits import COUNTERS_AT_ONCE, ROWS_A_WINDOW_MAX, SLIDING_ROWS_MAX
from headrace.operators.rows import (
    LATE,
    TAKEN,
    Fates,
    LatePolicy,
    LeftOut,
    Rows,
    key_ranks,
    latest_at,
    require_span,
)
from headrace.operators.sliding_totals import totals_at, window_starts
from headrace.operators.windows import Windowed


@dataclass(slots=True)
class _Call:
    """One call of `add`: fates are written in place, what comes out is gathered."""

    rows: Rows
    records: pa.RecordBatch
    fates: Fates
    latest: IntArray
    counts: dict[str, int] = field(default_factory=dict)
    found: list[tuple[pa.RecordBatch, IntArray]] = field(default_factory=list)

    def count(self, name: str, number: int) -> None:
        if number:
            self.counts[name] = self.counts.get(name, 0) + number

    def arrivals(self, span: tuple[int, int], arrived: int) -> Held:
        """Return the rows that are taken; the first of the span has number `arrived`."""
        first, end = span
        rows = first + np.flatnonzero(self.fates[first:end] == TAKEN)
        orders = self.rows.orders
        return Held(
            self.rows.keys.take(pa.array(rows)).cast(pa.string()),
            self.rows.times_ns[rows],
            np.zeros(len(rows), np.int64) if orders is None else orders[rows],
            arrived + rows - first,
            self.records.take(pa.array(rows)),
        )


@dataclass(frozen=True, slots=True)
class SlidingWindows:
    """Declares a window for each row: the rows of its key in (time - `span_ns`, time], and itself.

    Of rows of one time a window holds those before its own by `Rows.orders`, then by arrival: no
    row sees what came after it. `record` are the columns that are held of each row, and come out
    with it: among them all that are aggregated.
    **Watermark.** One a partition: the largest event time seen so far, less `lateness_ns`, moved
    row by row. A row before it is late, left out, and counted; a dead letter if the policy is
    `dead`. Within the lateness rows may come in any order.
    **Emission.** Each row once, when the watermark has passed its time. In order of the row that
    moved it, then time, key, order, arrival. A punctuation (`Rows`, `advance`) moves it too.
    **Sums** of integers are exact; those of floats are added up afresh for each row, in its
    window's order, so that they depend on nothing else: that costs a step a row of the window.
    **Limits.** A window has the last `rows_a_window_max` rows of its span (`window_cut`). When
    `rows_max` rows of all keys would be exceeded the older half goes: those that wait come out as
    they are then known (`row_hurried`), those that others may want are missing there
    (`row_forgotten`). Neither depends on how the input is cut.

    Raises:  UsageError if the windows cannot be.
    Counts:  `late`, `window_cut`, `row_hurried`, `row_forgotten`, `time_out_of_range`.
    Source:  pandas' `rolling(span)` over rows in order; SQL's RANGE frame, whose windows have all
             rows of their last time, and also those just `span_ns` old.
    """

    record: pa.Schema
    span_ns: int
    aggregates: Mapping[str, Aggregate]
    lateness_ns: int
    late: LatePolicy = "drop"
    rows_a_window_max: int = ROWS_A_WINDOW_MAX
    rows_max: int = SLIDING_ROWS_MAX
    _plan: FoldPlan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse windows that cannot be."""
        require_span("span_ns of sliding windows", self.span_ns, least=1)
        require_span("lateness_ns of sliding windows", self.lateness_ns)
        for name, least, value, most in (
            ("rows_a_window_max", 1, self.rows_a_window_max, ROWS_A_WINDOW_MAX),
            ("rows_max", 2, self.rows_max, SLIDING_ROWS_MAX),
        ):
            if not least <= value <= most:
                raise UsageError(
                    f"operator, sliding windows: expected {name} from {least} to {most}, found "
                    f"{value}"
                )
        if taken := {"key", "time_ns", *self.aggregates} & set(self.record.names):
            raise UsageError(
                f"operator, sliding windows: expected columns and aggregates of names of their own "
                f"beside key and time_ns, found {', '.join(sorted(taken))} twice; rename them"
            )
        object.__setattr__(self, "_plan", FoldPlan.of(self.aggregates))

    @property
    def layout(self) -> str:
        """Return what tells this way of writing rows from another."""
        return f"sliding {self.record.to_string()}"

    def new(self) -> HeldRows:
        """Return a state without rows."""
        return HeldRows.empty(self.record)

    def load(self, name: str, pages: Mapping[int, bytes]) -> HeldRows:
        """Return the state that these pages were dumped from."""
        return load_held(name, (self.record,), pages)

    def advance(self, state: HeldRows, time_ns: int) -> Windowed:
        """Return what is known when event time is known to have come to `time_ns`."""
        return self.add(state, Rows.telling(time_ns), Held.nothing(self.record).records)

    def add(self, state: HeldRows, rows: Rows, records: pa.RecordBatch) -> Windowed:
        """Add rows; return those whose windows are known by it, and what was left out.

        Shapes:  `rows` and `records` of one length; `records` holds the columns of `record`.
        Raises:  InvariantError if a column aggregated has nulls, or is of another kind.
        """
        fates = rows.fates()
        held = records.select(self.record.names).cast(self.record)
        latest = latest_at(rows.times_ns, fates, state.latest_ns[0])
        call = _Call(rows, held, fates, latest)
        if len(rows):
            self._take(state, call, (0, len(rows)))
        if not call.found:
            none = np.zeros(0, np.int64)
            call.found.append(self._known(call, Held.nothing(self.record), none, none))
        left_out = LeftOut(fates, self.late, call.counts)
        causes = np.concatenate([causes for _, causes in call.found])
        return Windowed(concatenated([records for records, _ in call.found]), causes, left_out)

    def _take(self, state: HeldRows, call: _Call, span: tuple[int, int]) -> None:
        """Add rows in one go, or half by half where the limit may be exceeded."""
        first, end = span
        count = end - first
        if count > 1 and len(state.sides[0]) + count > self.rows_max:
            for half in pairwise((first, (first + end) // 2, end)):
                self._take(state, call, half)
            return
        watermarks = call.latest[first:end] - self.lateness_ns
        fates = call.fates[first:end]
        fates[(fates == TAKEN) & (call.rows.times_ns[first:end] < watermarks)] = LATE
        out_before_ns = state.latest_ns[0] - self.lateness_ns
        held = state.sides[0].with_later(call.arrivals(span, state.arrived))
        known = np.searchsorted(watermarks, held.times, side="right")
        # A held row that came out before is known from the start; one that comes late is not held.
        due = (known < count) & (held.times >= out_before_ns)
        causes = first + np.maximum(known, held.numbers - state.arrived)
        state.latest_ns[0] = int(call.latest[end - 1])
        state.arrived += count
        self._emit(call, held, due, causes)
        state.sides[0] = self._wanted(held, int(watermarks[-1]))
        if len(state.sides[0]) > self.rows_max:
            self._halve(state, call, end - 1)

    def _emit(self, call: _Call, held: Held, due: BoolArray, causes: IntArray) -> None:
        """Let the rows come out that are due."""
        if not due.any():
            return
        codes = held.keys.dictionary_encode().indices.to_numpy()
        concerned = np.zeros(int(codes.max()) + 1, np.bool_)
        concerned[codes[due]] = True
        rows = np.flatnonzero(concerned[codes])
        rows = rows[np.lexsort((held.orders[rows], held.times[rows], codes[rows]))]
        places = np.flatnonzero(due[rows])
        mine = held.at(rows)
        ranks = key_ranks(mine.keys.take(pa.array(places)).to_pylist())
        order = np.lexsort((mine.orders[places], ranks, mine.times[places], causes[rows][places]))
        places = places[order]
        call.found.append(self._known(call, mine, places, causes[rows][places]))

    def _known(
        self, call: _Call, rows: Held, places: IntArray, causes: IntArray
    ) -> tuple[pa.RecordBatch, IntArray]:
        """Return the rows at these places, with what their windows say, and their causes.

        `rows` are ascending by key, time, order, arrival: all that their windows may hold.
        """
        codes = rows.keys.dictionary_encode().indices.to_numpy().astype(np.int64)
        spanned = window_starts(codes, rows.times, self.span_ns)
        starts = np.maximum(spanned, np.arange(len(rows)) - self.rows_a_window_max + 1)
        call.count("window_cut", int((starts > spanned)[places].sum()))
        values = self._plan.values(Rows(rows.keys, rows.times, rows.orders), rows.records)
        operations = self._plan.operations
        together = max(COUNTERS_AT_ONCE // max(self._plan.counters, 1), 1)
        said = concatenated(
            [
                self._plan.results(*totals_at(values, operations, starts, some))
                for some in np.split(places, range(together, len(places), together))
            ]
        )
        known = rows.at(places)
        columns = {"key": known.keys, "time_ns": pa.array(known.times)}
        columns |= dict(zip(self.record.names, known.records.columns, strict=True))
        columns |= dict(zip(self._plan.aggregates, said.columns, strict=True))
        return pa.RecordBatch.from_pydict(columns), causes

    def _wanted(self, held: Held, watermark_ns: int) -> Held:
        """Return the rows that are in a window of one that waits or may come."""
        wanted = held.times > watermark_ns - self.span_ns
        past = np.flatnonzero(wanted & (held.times < watermark_ns))
        # One more than a window can have, or none would be seen to be cut.
        most = self.rows_a_window_max
        if len(past) > most:
            codes = held.keys.take(pa.array(past)).dictionary_encode().indices.to_numpy()
            order = np.lexsort((held.orders[past], held.times[past], codes))
            sorted_codes = codes[order]
            ends = np.searchsorted(sorted_codes, sorted_codes, side="right")
            wanted[past[order[ends - np.arange(len(past)) > most]]] = False
        return held if wanted.all() else held.at(wanted)

    def _halve(self, state: HeldRows, call: _Call, row: int) -> None:
        """Let the older half of the rows go, as of a row of the call."""
        held = state.sides[0]
        older = np.zeros(len(held), np.bool_)
        older[np.lexsort((held.orders, held.times))[: len(held) // 2]] = True
        waiting = older & (held.times >= state.latest_ns[0] - self.lateness_ns)
        call.count("row_hurried", int(waiting.sum()))
        call.count("row_forgotten", int((older & ~waiting).sum()))
        self._emit(call, held, waiting, np.full(len(held), row))
        state.sides[0] = held.at(~older)
