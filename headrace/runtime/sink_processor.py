"""What a lane does with the records it reads: copy them out of Kafka through a sink."""

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import structlog
from pydantic import SecretStr
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_delay,
)
from tenacity import wait_random_exponential as jittered

from headrace.avro.schema import AvroSchema
from headrace.batch import DeadRow, Part
from headrace.errors import InvariantError, TransientError
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.offsets import GroupMetadata
from headrace.kafka.producer import Producer
from headrace.runtime.chain import Dead
from headrace.runtime.dead_letters import send_dead
from headrace.runtime.stats import Stats, latency_counts_of
from headrace.servers import Endpoints
from headrace.sinks import PositionLostError, PostgresSink, RecordSink, RedisSink
from headrace.topology import Sink

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

SINK_RECORDS_MAX = 32_768
"""Records a sink writes at once: a transaction is dear, its memory is not."""

OUTAGE_S_MAX = 300.0
"""How long a sink waits for a server that is away before its worker stops."""

RETRY_WAIT_S_MAX = 5.0


def open_sink(
    sink: Sink,
    *,
    topology: str,
    schemas: Mapping[str, AvroSchema],
    endpoints: Endpoints,
    migrations: Path,
) -> RecordSink:
    """Return the target a topology names; not yet connected."""
    if sink.name == "postgres":
        documents = {topic: json.loads(schema.text) for topic, schema in schemas.items()}
        return PostgresSink(
            SecretStr(endpoints.postgres), topology, sink.reads, documents, migrations=migrations
        )
    return RedisSink(SecretStr(endpoints.redis), topology, sink.reads)


class SinkProcessor:
    """Writes what a lane reads; the target's own positions decide what is new."""

    def __init__(self, name: str, target: RecordSink, *, producer: Producer, stats: Stats) -> None:
        self.owner = f"sink_{name}"
        self._target = target
        self._producer = producer
        self._stats = stats
        self._is_open = False
        self._uncommitted: Offsets = {}
        self._is_dirty = False
        self._counts: Counter[str] = Counter()

    def restore(self, place: Place, is_lost: Callable[[], bool]) -> None:
        """Nothing: the target itself knows how far it has come."""

    def stand_by(self, places: Collection[Place]) -> None:
        """Nothing is kept here."""

    def follow(self, timeout_s: float) -> None:
        """Nothing is kept here."""

    def discard(self, restored: None) -> None:
        """Nothing is kept here."""

    def adopt(self, place: Place, restored: None, group: GroupMetadata) -> Offsets:  # noqa: ARG002 (the protocol's)
        """Return from where the target wants this partition read."""
        return {place: self._persist(self._target.positions).get(place, 0)}

    def release(self, places: Collection[Place], group: GroupMetadata) -> None:  # noqa: ARG002 (the protocol's)
        """Nothing is held for a partition: what was written counts, with its dead letters."""
        for place in places:
            self._uncommitted.pop(place, None)

    def abandon(self) -> None:
        """Nothing is held for a partition."""
        self._uncommitted.clear()

    def process(self, parts: Sequence[Part], dead: Sequence[Dead], read_to: Offsets) -> None:
        """Write what was read."""
        kept: set[tuple[int, int]] = set()

        def keep_rows(rows: Sequence[DeadRow]) -> None:
            # A write that is tried again refuses them again.
            new = [row for row in rows if (row.part, row.row) not in kept]
            self._keep([Dead.of(self.owner, parts[r.part], r.row, r.cause, r.detail) for r in new])
            kept.update((row.part, row.row) for row in new)

        self._uncommitted |= read_to
        if not parts and not dead:
            return
        self._is_dirty = True
        self._keep(dead)
        started_ns = time.perf_counter_ns()
        written = self._persist(lambda: self._target.write(parts, keep_rows))
        self._stats.add_batch(
            self.owner,
            records_in=sum(len(part) for part in parts),
            records_out=written.rows,
            dead_letters=len(written.dead),
            busy_ns=time.perf_counter_ns() - started_ns,
            latency_counts=latency_counts_of(parts, time.time_ns() // 1_000_000),
        )

    def idle(self) -> None:
        """Nothing is due by time alone."""

    @property
    def holds_back(self) -> bool:
        """Say no: what is written is in the target."""
        return False

    @property
    def is_dirty(self) -> bool:
        """Say whether the group has not heard of something that was written."""
        return self._is_dirty

    def commit(self, group: GroupMetadata) -> Offsets:  # noqa: ARG002 (the protocol's)
        """Return how far the target has come: for lag only, the target knows better."""
        committed, self._uncommitted = self._uncommitted, {}
        self._is_dirty = False
        return committed

    def rollback(self) -> Offsets:
        """Never asked for: a sink has no transaction that could be aborted."""
        raise InvariantError(f"{self.owner}: a sink's commit cannot be aborted")

    def held_records(self) -> Mapping[tuple[str, int], int]:
        """Nothing is held back."""
        return {}

    def close(self) -> None:
        """Disconnect."""
        self._target.close()

    def _keep(self, dead: Sequence[Dead]) -> None:
        """Have dead letters in Kafka before the target's position moves beyond their records."""
        if dead:
            send_dead(self._producer, dead)
            self._producer.flush()

    def _persist(self, act: Callable[[], Result]) -> Result:
        """Act on the target, over outages that end in time, opening it anew after each."""
        for attempt in Retrying(
            # A store that lost what it had confirmed has to be read for again from the start of a
            # worker: trying the same write again cannot help.
            retry=retry_if_exception_type(TransientError)
            & retry_if_not_exception_type(PositionLostError),
            stop=stop_after_delay(OUTAGE_S_MAX),
            wait=jittered(multiplier=0.1, max=RETRY_WAIT_S_MAX),
            before_sleep=self._note_outage,
            reraise=True,
        ):
            with attempt:
                if not self._is_open:
                    self._target.open()
                    self._is_open = True
                return act()
        raise InvariantError("a retry ended without a result")

    def _note_outage(self, state: RetryCallState) -> None:
        self._is_open = False
        self._counts["outage"] += 1
        self._stats.set_counts(
            self.owner, Counter({f"{self.owner}.outage": self._counts["outage"]})
        )
        error = state.outcome.exception() if state.outcome is not None else None
        log.warning("sink_away", sink=self.owner, attempt=state.attempt_number, error=str(error))
