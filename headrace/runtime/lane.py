"""One lane of a worker: reads batches, has them processed in order, commits what is finished."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

import numpy as np

from headrace import limits
from headrace.avro.wire import Decoder
from headrace.batch import Part
from headrace.kafka.consumer import Consumer, Offsets, RawPart
from headrace.runtime.chain import Dead
from headrace.runtime.stats import Stats

LAG_S = 0.5
"""How often a lane notes how far it is behind."""


class Processor(Protocol):
    """What a lane feeds: a chain of steps, or a sink."""

    def assigned(self, places: Sequence[tuple[str, int]]) -> Offsets:
        """Take these partitions; return from where to read those that have state."""

    def revoked(self, places: Sequence[tuple[str, int]]) -> None:
        """Let go of these partitions; all of them is committed."""

    def process(self, parts: Sequence[Part], dead: Sequence[Dead], read_to: Offsets) -> None:
        """Process what was read; `read_to` are the next offsets of all that was."""

    def idle(self) -> None:
        """Do what time alone makes due."""

    def commit(self) -> Offsets:
        """Make all that was processed count; return the offsets now committed."""

    def held_records(self) -> Mapping[tuple[str, int], int]:
        """Return how many records are read but held back, by topic and partition."""

    def close(self) -> None:
        """Release what is held."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one poll brought: decoded parts, records that are none, and how far it read."""

    parts: Sequence[Part] = ()
    dead: Sequence[Dead] = ()
    read_to: Offsets = field(default_factory=dict)


class Lane:
    """The thread-side of a lane; the Faust service around it moves `Work` between its threads.

    `read` runs in the reading thread, `handle` in the processing thread, one call at a time each.
    """

    def __init__(
        self,
        name: str,
        *,
        owner: str,
        topics: Sequence[str],
        consumer: Consumer,
        processor: Processor,
        decoders: Mapping[str, Decoder],
        stats: Stats,
        commit_interval_s: float,
        records_max: int = limits.BATCH_RECORDS_MAX,
    ) -> None:
        self.name = name
        self.topics = list(topics)
        self.consumer = consumer
        self.processor = processor
        self._owner = owner
        self._decoders = decoders
        self._stats = stats
        self._commit_interval_s = commit_interval_s
        self._records_max = records_max
        self._committed_at = monotonic()
        self._has_failed = False
        self._is_draining = False
        self._read_to: Offsets = {}
        self._lag_noted_at = 0.0
        self._paused: set[tuple[str, int]] = set()

    def read(self, timeout_s: float) -> Work:
        """Return what waits in the log, decoded; empty work if nothing came in time."""
        self._throttle()
        parts: list[Part] = []
        dead: list[Dead] = []
        read_to: Offsets = {}
        for raw in self.consumer.poll(self._records_max, timeout_s):
            read_to[raw.topic, raw.partition] = raw.offsets[-1] + 1
            part, bad = self._decode(raw)
            dead.extend(bad)
            if len(part):
                parts.append(part)
        self._note_lag(read_to)
        return Work(parts, dead, read_to)

    def handle(self, work: Work) -> None:
        """Process one piece of work, and commit when it is time.

        After a failure nothing more is processed or committed: what was in flight is read again.
        """
        if self._has_failed or self._is_draining:
            return
        self._has_failed = True  # until this call has succeeded
        self._handle(work)
        self._has_failed = False

    def _handle(self, work: Work) -> None:
        if work.read_to:
            self.processor.process(work.parts, work.dead, work.read_to)
            if work.dead:
                self._note_dead(work.dead)
        else:
            self.processor.idle()
        if monotonic() - self._committed_at >= self._commit_interval_s:
            self._commit()

    def drain(self) -> None:
        """Finish the work at hand and begin no more: what was only read is read again later."""
        self._is_draining = True

    def commit(self) -> None:
        """Commit what was processed, if anything was and nothing has failed."""
        if not self._has_failed:
            self._commit()

    def _commit(self) -> None:
        self.processor.commit()
        self._committed_at = monotonic()

    def forget(self, places: Sequence[tuple[str, int]]) -> None:
        """Drop what is remembered of partitions that have moved away."""
        for place in places:
            self._read_to.pop(place, None)
            self._paused.discard(place)

    def _note_lag(self, read_to: Offsets) -> None:
        # In the reading thread: while a rebalance is called back there, the client answers such
        # questions of no other thread, and the callback waits for the processing thread.
        self._read_to |= read_to
        if monotonic() - self._lag_noted_at > LAG_S:
            self._stats.set_lag(self._owner, self.consumer.lag(self._read_to))
            self._lag_noted_at = monotonic()

    def _throttle(self) -> None:
        """Stop reading inputs that are far ahead of the ones they are merged with."""
        held = self.processor.held_records()
        full = {place for place, count in held.items() if count > limits.MERGE_RECORDS_MAX}
        relieved = {
            place for place in self._paused if held.get(place, 0) < limits.MERGE_RECORDS_MAX // 2
        }
        if new := full - self._paused:
            self.consumer.pause(sorted(new))
        if relieved:
            self.consumer.resume(sorted(relieved))
        self._paused = (self._paused | full) - relieved

    def _decode(self, raw: RawPart) -> tuple[Part, list[Dead]]:
        decoded = self._decoders[raw.topic].decode(raw.values)
        dead = [
            Dead(
                self._owner,
                raw.topic,
                raw.partition,
                raw.offsets[bad.row],
                raw.values[bad.row] or b"",
                raw.keys[bad.row],
                () if raw.headers is None else raw.headers[bad.row],
                bad.cause,
                bad.detail,
            )
            for bad in decoded.bad
        ]
        return _part(raw, decoded.records, decoded.rows.tolist() if decoded.bad else None), dead

    def _note_dead(self, dead: Sequence[Dead]) -> None:
        self._stats.add_batch(
            self._owner,
            records_in=0,
            records_out=0,
            dead_letters=len(dead),
            busy_ns=0,
            ages_ms=np.empty(0, np.int64),
        )


def _part(raw: RawPart, records: object, rows: list[int] | None) -> Part:
    offsets = np.asarray(raw.offsets, np.int64)
    timestamps_ms = np.asarray(raw.timestamps_ms, np.int64)
    values = [value or b"" for value in raw.values] if None in raw.values else raw.values
    if rows is None:
        return Part(
            raw.topic,
            raw.partition,
            records,
            values,  # type: ignore[arg-type]  # no None is left in it
            raw.keys,
            offsets,
            timestamps_ms,
            raw.headers,
        )
    return Part(
        raw.topic,
        raw.partition,
        records,
        [values[row] or b"" for row in rows],
        [raw.keys[row] for row in rows],
        offsets[rows],
        timestamps_ms[rows],
        None if raw.headers is None else [raw.headers[row] for row in rows],
    )
