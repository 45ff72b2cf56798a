"""Windows on event time by key: what a step's agent adds its records to, and what closes by it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, IntArray
from headrace.errors import UsageError
from headrace.operators.aggregates import Aggregate
from headrace.operators.fold_plan import FoldPlan
from headrace.operators.folds import FRESH
from headrace.operators.limits import COUNTERS_A_KEY_MAX, KEYS_MAX, WINDOWS_A_KEY_MAX
from headrace.operators.rows import (
    KEY_REFUSED,
    LATE,
    NO_TIME_NS,
    LatePolicy,
    LeftOut,
    Rows,
    key_ranks,
    latest_at,
    require_span,
)
from headrace.operators.window_kinds import WindowKind
from headrace.operators.window_placing import Additions, place
from headrace.operators.window_state import WindowState, load_windows

Emitted: TypeAlias = tuple[pa.RecordBatch, IntArray]
"""Windows in the order they are emitted, and the row that caused each."""

NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Windowed:
    """What came of adding records.

    `records` has the columns key, window_start_ns, window_end_ns, is_final, then the aggregates by
    name; those of `SlidingWindows` key, time_ns and the row's own before them. `causes` is for each
    of its rows the row of the call that moved the watermark, as `Output.causes` wants it where the
    call was given a whole batch.
    """

    records: pa.RecordBatch
    causes: IntArray
    left_out: LeftOut


@dataclass(frozen=True, slots=True)
class Windows:
    """Declares windows on event time by key, and what they say of their records.

    **Watermark.** One a partition: the largest event time seen so far, less `lateness_ns`. It moves
    record by record, so that nothing depends on how the input is cut into batches. Within
    `lateness_ns` records may come in any order; windows of integers then say the same.
    **Emission.** A window [start, end) is emitted once, when the watermark reaches its end
    (`is_final`). With `early_every_ns` also whenever the watermark reaches a multiple of it: each
    window that changed since it was last emitted, as it stands (`is_final` false), after what
    became final. In order of the row that moved the watermark, then window end, then key.
    **Late.** A record whose windows are all closed is left out: counted as `late`, and a dead
    letter if the policy is `dead` (`LeftOut.dead`). One that some window still takes is not late.
    **Idle partitions.** No record, no watermark: windows stay open until a record of any key moves
    it. A punctuation (`Rows.punctuation`, or `advance`) moves it without being in a window; put one
    into the topic, for a clock would make the result depend on when it runs.
    **Limits.** `keys_max` keys have windows at once: a record of one more is left out and counted
    as `key_refused`. Windows a key are bounded by lateness and size, refused where too many.
    Sessions end at their length (`Session`). A time below 0 or from 2^62 on: `time_out_of_range`.

    Raises:  UsageError if the windows cannot be.
    Counts:  `late`, `key_refused`, `time_out_of_range`.
    Source:  watermark and lateness as Flink's `forBoundedOutOfOrderness` without allowed lateness;
             `grace` of Kafka Streams, whose stream time is our largest event time.
    """

    kind: WindowKind
    aggregates: Mapping[str, Aggregate]
    lateness_ns: int
    late: LatePolicy = "drop"
    early_every_ns: int = 0
    keys_max: int = KEYS_MAX
    _plan: FoldPlan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse windows that cannot be."""
        require_span("lateness_ns of windows", self.lateness_ns)
        require_span("early_every_ns of windows", self.early_every_ns)
        held = self.kind.open_at_once(self.lateness_ns)
        if held > WINDOWS_A_KEY_MAX:
            raise UsageError(
                f"operator, {self.kind}: expected at most {WINDOWS_A_KEY_MAX} open windows a key, "
                f"found {held} with a lateness of {self.lateness_ns} ns; take larger windows, hops "
                "or gaps, or less lateness"
            )
        if not 0 < self.keys_max <= KEYS_MAX:
            raise UsageError(
                f"operator, windows: expected keys_max from 1 to {KEYS_MAX}, found {self.keys_max}"
            )
        plan = FoldPlan.of(self.aggregates)
        if held * plan.counters > COUNTERS_A_KEY_MAX:
            raise UsageError(
                f"operator, {self.kind}: expected at most {COUNTERS_A_KEY_MAX} counters a key, "
                f"found {plan.counters} in each of {held} open windows; take larger windows, or "
                "sketches of less range or a larger error"
            )
        object.__setattr__(self, "_plan", plan)

    @property
    def layout(self) -> str:
        """Return what tells this way of writing windows from another."""
        return f"{self.kind} {self._plan.layout}"

    def new(self) -> WindowState:
        """Return a state without windows."""
        return WindowState.empty(self._plan.operations)

    def load(self, name: str, pages: Mapping[int, bytes]) -> WindowState:
        """Return the state that these pages were dumped from."""
        return load_windows(name, self._plan.operations, pages)

    def advance(self, state: WindowState, time_ns: int) -> Windowed:
        """Return what becomes final when event time is known to have come to `time_ns`."""
        return self._run(state, Rows.telling(time_ns), None)

    def add(self, state: WindowState, rows: Rows, records: pa.RecordBatch) -> Windowed:
        """Add records to their windows; return what that made final, and what was left out.

        Shapes:  `rows` and `records` of one length; `records` holds the columns aggregated.
        Raises:  InvariantError if a column is missing, has nulls, or is of another kind.
        """
        return self._run(state, rows, records)

    def _run(self, state: WindowState, rows: Rows, records: pa.RecordBatch | None) -> Windowed:
        fates = rows.fates()
        latest = latest_at(rows.times_ns, fates, state.latest_ns)
        additions = Additions(
            rows.keys.dictionary_encode(),  # once: a batch is looked at again by parts
            fates,
            latest - self.lateness_ns,
            self._plan.values(rows, records),
        )
        crossed = self._crossed(latest, state.latest_ns)
        borders = np.unique([0, *(np.flatnonzero(crossed) + 1).tolist(), len(rows)]).tolist()
        found: list[Emitted] = []
        for first, end in pairwise(borders):
            self._take(state, additions.part(first, end), first, found)
            state.latest_ns = int(latest[end - 1])
            if crossed[end - 1]:
                self._emit_early(state, end - 1, found)
        if not found:
            found.append((self._records(state, NOTHING, is_final=True), NOTHING))
        table = pa.Table.from_batches([records for records, _ in found]).combine_chunks()
        batches = table.to_batches() or [found[0][0]]
        causes = np.concatenate([causes for _, causes in found])
        return Windowed(batches[0], causes, LeftOut(fates, self.late))

    def _crossed(self, latest_ns: IntArray, before_ns: int) -> BoolArray:
        """Return the rows at which the watermark reaches a multiple of `early_every_ns`."""
        if not self.early_every_ns:
            return np.zeros(len(latest_ns), np.bool_)
        before = np.concatenate([[before_ns], latest_ns[:-1]])
        steps = (latest_ns - self.lateness_ns) // self.early_every_ns
        steps_before = (before - self.lateness_ns) // self.early_every_ns
        crossed: BoolArray = (steps > steps_before) & (before != NO_TIME_NS)
        return crossed

    def _take(
        self, state: WindowState, additions: Additions, first: int, found: list[Emitted]
    ) -> None:
        """Add records in one go, or half by half where some key may have no room."""
        count = len(additions.fates)
        full = self._is_full(state, additions)
        if full and count > 1:
            # Row by row in the end: which key is refused must not depend on the cut.
            for start, end in pairwise((0, count // 2, count)):
                self._take(state, additions.part(start, end), first + start, found)
            return
        if full:
            self._emit_closed(state, additions.watermarks, first, found)
            if len(state.code_by_key) >= self.keys_max:
                last_end = self.kind.last_end(int(additions.values.times[0]))
                late = last_end <= int(additions.watermarks[0])
                additions.fates[0] = LATE if late else KEY_REFUSED
        place(self.kind, state, additions, self._plan.operations)
        self._emit_closed(state, additions.watermarks, first, found)

    def _is_full(self, state: WindowState, additions: Additions) -> bool:
        held = len(state.code_by_key)
        if held + len(additions.keys.dictionary) <= self.keys_max:
            return False
        return held + state.new_keys(additions.taken_keys()) > self.keys_max

    def _emit_closed(
        self, state: WindowState, watermarks: IntArray, first: int, found: list[Emitted]
    ) -> None:
        closed = state.ends <= watermarks[-1]
        if closed.any():
            indexes = np.flatnonzero(closed)
            causes = first + np.searchsorted(watermarks, state.ends[indexes], side="left")
            order = np.lexsort((_ranks(state, indexes), state.ends[indexes], causes))
            found.append((self._records(state, indexes[order], is_final=True), causes[order]))
            state.keep(~closed)
        state.free_keys()

    def _emit_early(self, state: WindowState, row: int, found: list[Emitted]) -> None:
        indexes = np.flatnonzero(state.totals.marks[FRESH])
        if not len(indexes):
            return
        order = np.lexsort((_ranks(state, indexes), state.ends[indexes]))
        records = self._records(state, indexes[order], is_final=False)
        found.append((records, np.full(len(indexes), row, np.int64)))
        state.totals.marks[FRESH] = 0
        state.changed.update(np.unique(state.codes[indexes]).tolist())

    def _records(self, state: WindowState, indexes: IntArray, *, is_final: bool) -> pa.RecordBatch:
        totals = state.totals.at(indexes)
        columns = {
            "key": pa.array(
                [state.key_by_code[c] for c in state.codes[indexes].tolist()], pa.string()
            ),
            "window_start_ns": pa.array(state.starts[indexes]),
            "window_end_ns": pa.array(state.ends[indexes]),
            "is_final": pa.array(np.full(len(indexes), is_final)),
        }
        said = self._plan.results(totals.ints, totals.floats)
        columns |= dict(zip(self.aggregates, said.columns, strict=True))
        return pa.RecordBatch.from_pydict(columns)


def _ranks(state: WindowState, indexes: IntArray) -> IntArray:
    return key_ranks([state.key_by_code[code] for code in state.codes[indexes].tolist()])
