"""One order out of several inputs: records of a stream are counted over all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import pyarrow.compute as pc

from headrace import limits
from headrace.batch import Batch, BoolArray, IntArray, Part
from headrace.runtime.parts import concat_parts, take_rows
from headrace.state.tables import RowState, RowTable

NEXT_DTYPE = np.dtype([("next", np.int64)])

WAIT, READY, DUPLICATE = 0, 1, 2


def merge_table(step: str) -> RowTable:
    """Return the table in which a step's merge remembers the next sequence of each stream."""
    return RowTable(f"{step}.merge_by_stream.v1", NEXT_DTYPE)


@dataclass(frozen=True, slots=True)
class ReadOut:
    """The topics that were read at least to where they ended at `asked_s` (monotonic)."""

    asked_s: float = -inf
    topics: frozenset[str] = frozenset()


NOT_ASKED = ReadOut()


class SequenceMerge:
    """Holds records back until all before them in their stream have come, whatever their topic.

    A stream is named by `fields`; its records carry `sequence`: 1, 2, 3, … over all inputs.
    A record that comes again is dropped. The result does not depend on how the inputs are cut into
    batches or which of them is ahead.

    A record counts as lost only when it cannot come any more: its stream has waited for
    `MERGE_WAIT_S_MAX`, and every topic has either given a later one of the stream, or was read to
    where it ended then. Time alone tells nothing: it passes as well while Kafka is away, or while
    this process stands.
    """

    def __init__(self, empty: Mapping[str, Part], fields: Sequence[str], state: RowState) -> None:
        """Merge the topics `empty` has a part without records of, in its order."""
        self._empty = empty
        self._topics = list(empty)
        self._fields = list(fields)
        self._state = state
        self._held: dict[str, Part] = {}
        self._waits: dict[int, tuple[int, float]] = {}
        """By stream the sequence it waits for, and since when."""

    def held(self) -> dict[str, Part]:
        """Return the records that wait, by topic."""
        return self._held

    def asks(self, now_s: float, asked_s: float) -> bool:
        """Say whether a stream waits too long for what is known of the logs as of `asked_s`."""
        return self._is_full() or any(
            asked_s - since_s < limits.MERGE_WAIT_S_MAX < now_s - since_s
            for _, since_s in self._waits.values()
        )

    def add(
        self, parts: Sequence[Part], now_s: float, read_out: ReadOut = NOT_ASKED
    ) -> tuple[Batch | None, dict[str, int]]:
        """Return the records that are due, in order, with those held back before; and counts.

        `now_s` is a monotonic clock: it only tells how long streams wait.
        """
        together = [part for part in self._with_held(parts) if len(part)]
        if not together:
            return None, {}
        streams, sequences, times = self._columns(together)
        verdict = self._judge(streams, sequences)
        counts = {"merge_duplicate": int((verdict == DUPLICATE).sum())}
        self._note_waits(streams[verdict == WAIT], now_s)
        lost = self._lost(together, streams, verdict, read_out)
        if lost:
            counts["merge_gap_skipped"] = self._skip(lost, streams, sequences, verdict)
            verdict = self._judge(streams, sequences, verdict)
            self._note_waits(streams[verdict == WAIT], now_s)
        self._hold(together, verdict)
        return self._batch(together, verdict, streams, sequences, times), counts

    def _with_held(self, parts: Sequence[Part]) -> list[Part]:
        fresh = {part.topic: part for part in parts}
        together = []
        for topic in self._topics:
            found = [p for p in (self._held.get(topic), fresh.get(topic)) if p is not None]
            if found:
                together.append(concat_parts(found))
        return together

    def _columns(self, parts: Sequence[Part]) -> tuple[IntArray, IntArray, IntArray]:
        """Return stream number, sequence and receive time of every record of these parts."""
        streams = []
        for part in parts:
            columns = [part.records.column(name) for name in self._fields]
            names = columns[0]
            if len(columns) > 1:
                names = pc.binary_join_element_wise(*columns, "\x00")
            streams.append(self._state.rows_of(names))
        sequences = [part.records.column("sequence").to_numpy() for part in parts]
        times = [part.records.column("receive_time_ns").to_numpy() for part in parts]
        return np.concatenate(streams), np.concatenate(sequences), np.concatenate(times)

    def _judge(
        self,
        streams: IntArray,
        sequences: IntArray,
        before: IntArray | None = None,
    ) -> IntArray:
        """Say of each record whether it is due, early, or has been before; move the streams on."""
        following = self._state.rows["next"]
        following[following == 0] = 1  # a new row is all zeros; sequences start from 1
        verdict = np.full(len(streams), WAIT, np.int64) if before is None else before.copy()
        (open_rows,) = np.nonzero(verdict == WAIT)
        late = sequences[open_rows] < following[streams[open_rows]]
        verdict[open_rows[late]] = DUPLICATE
        (open_rows,) = np.nonzero(verdict == WAIT)
        order = open_rows[np.lexsort((sequences[open_rows], streams[open_rows]))]
        if len(order) == 0:
            return verdict
        stream, sequence = streams[order], sequences[order]
        new_stream = np.r_[True, stream[1:] != stream[:-1]]
        again = ~new_stream & np.r_[False, sequence[1:] == sequence[:-1]]
        verdict[order[again]] = DUPLICATE
        order, stream, sequence = order[~again], stream[~again], sequence[~again]
        new_stream = np.r_[True, stream[1:] != stream[:-1]]
        starts = np.maximum.accumulate(np.where(new_stream, np.arange(len(order)), 0))
        rank = np.arange(len(order)) - starts
        # Sequences grow by at least one, so the due ones are a prefix of their stream.
        due = sequence - rank == following[stream]
        verdict[order[due]] = READY
        np.maximum.at(following, stream[due], sequence[due] + 1)
        return verdict

    def _is_full(self) -> bool:
        return sum(len(part) for part in self._held.values()) > 2 * limits.MERGE_RECORDS_MAX

    def _note_waits(self, waiting: IntArray, now_s: float) -> None:
        """Note of each stream that waits for which record, and since when it waits for that one."""
        following = self._state.rows["next"]
        before, self._waits = self._waits, {}
        for stream in np.unique(waiting).tolist():
            missing = int(following[stream])
            noted, since_s = before.get(stream, (missing, now_s))
            self._waits[stream] = (missing, since_s if noted == missing else now_s)

    def _lost(
        self, parts: Sequence[Part], streams: IntArray, verdict: IntArray, read_out: ReadOut
    ) -> list[int]:
        """Return the streams whose missing record cannot come any more."""
        bound_s = inf if self._is_full() else read_out.asked_s - limits.MERGE_WAIT_S_MAX
        late = {stream for stream, (_, since_s) in self._waits.items() if since_s <= bound_s}
        if not late:
            return []
        later_in: dict[str, set[int]] = {}
        start = 0
        for part in parts:
            rows = slice(start, start + len(part))
            later_in[part.topic] = set(streams[rows][verdict[rows] == WAIT].tolist())
            start += len(part)
        for topic in self._topics:
            if topic not in read_out.topics:
                late &= later_in.get(topic, set())
        return sorted(late)

    def _skip(
        self, lost: Sequence[int], streams: IntArray, sequences: IntArray, verdict: IntArray
    ) -> int:
        """Move these streams on to the first record there is; return how many are lost."""
        waiting = verdict == WAIT
        first = np.full(len(self._state.rows), np.iinfo(np.int64).max)
        np.minimum.at(first, streams[waiting], sequences[waiting])
        following = self._state.rows["next"]
        count = int((first[lost] - following[lost]).sum())
        following[lost] = first[lost]
        return count

    def _hold(self, parts: Sequence[Part], verdict: IntArray) -> None:
        self._held = {}
        start = 0
        for part in parts:
            waiting = verdict[start : start + len(part)] == WAIT
            if waiting.any():
                self._held[part.topic] = take_rows(part, np.flatnonzero(waiting))
            start += len(part)

    def _batch(
        self,
        parts: Sequence[Part],
        verdict: IntArray,
        streams: IntArray,
        sequences: IntArray,
        times: IntArray,
    ) -> Batch | None:
        ready: BoolArray = verdict == READY
        if not ready.any():
            return None
        by_topic: dict[str, Part] = {}
        numbers: list[IntArray] = []
        rows: list[IntArray] = []
        start = 0
        for part in parts:
            chosen = np.flatnonzero(ready[start : start + len(part)])
            by_topic[part.topic] = part if len(chosen) == len(part) else take_rows(part, chosen)
            numbers.append(np.full(len(chosen), self._topics.index(part.topic), np.int64))
            rows.append(np.arange(len(chosen), dtype=np.int64))
            start += len(part)
        # Receive time never runs backwards within a stream, so this keeps each stream's order.
        order = np.lexsort((sequences[ready], streams[ready], times[ready]))
        complete = tuple(by_topic.get(topic, self._empty[topic]) for topic in self._topics)
        return Batch(
            complete,
            np.concatenate(numbers)[order].astype(np.uint8),
            np.concatenate(rows)[order],
        )
