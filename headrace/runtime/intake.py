"""What a lane's reading thread does: which partitions it reads, from where, and what comes in."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from math import inf
from queue import SimpleQueue
from time import monotonic
from types import MappingProxyType
from typing import Any, Protocol

import structlog

from headrace import limits
from headrace.avro.wire import Decoder
from headrace.batch import Part
from headrace.byte_column import column_of
from headrace.errors import InvariantError
from headrace.kafka.consumer import Consumer, Rebalance
from headrace.kafka.fetched import Fetched, Offsets, Place, RawPart
from headrace.kafka.offsets import GroupMetadata, in_log
from headrace.runtime.chain import Dead
from headrace.runtime.decoding import decode_parts
from headrace.runtime.starts import Start, Starts
from headrace.runtime.stats import Stats, latency_counts_of
from headrace.runtime.work import Unit, Work

log = structlog.get_logger(__name__)

LAG_S = 0.5
"""How often a lane notes how far it is behind."""

NO_ENDS: Mapping[Place, int] = MappingProxyType({})


class Worker(Protocol):
    """What is told of partitions that come and go; `adopt`, `release`, `abandon` wait for it."""

    def restore(self, unit: Unit) -> "Future[Any]":
        """Begin to bring the state of a unit up to date."""

    def discard(self, restore: "Future[Any]") -> None:
        """Forget what was restored for nothing."""

    def stand_by(self, units: Collection[Unit]) -> None:
        """Keep the state of these units warm from now on, and of no others."""

    def follow(self) -> None:
        """Go on with that."""

    def adopt(
        self, unit: Unit, restored: Any, claims: Mapping[Place, int], group: GroupMetadata
    ) -> Offsets | None:
        """Begin to work on a unit; return from where to read, None if it is lost again."""

    def claim(self, claims: Mapping[Place, int]) -> None:
        """Accept what is read of these places from now on under these claims."""

    def release(
        self, units: Collection[Unit], places: Collection[Place], group: GroupMetadata
    ) -> None:
        """Finish the batch at hand, commit, and let go of these units and their places."""

    def abandon(self) -> None:
        """Let go of everything without a commit: others have it already."""


class Intake:
    """Reads the partitions this worker is given, each once its state is there.

    Used by the reading thread alone, but for what is handed over: `group`, `held`, `record_s`,
    `rewinds`, `committed` and `records`.
    """

    def __init__(
        self,
        lane: str,
        *,
        owner: str,
        topics: Sequence[str],
        consumer: Consumer,
        decoders: Mapping[str, Decoder],
        stats: Stats,
        unit_of: Callable[[Place], Unit],
        stand_by: Collection[Unit] = (),
        first: Collection[str] = (),
        records_max: int = limits.BATCH_RECORDS_MAX,
        behind_max: int = limits.BEHIND_RECORDS_MAX,
        ends: Mapping[Place, int] = NO_ENDS,
    ) -> None:
        """Read `topics` for a lane.

        `unit_of` says with which others a place moves between workers; the units in `stand_by`
        are kept warm while others have them. Of a unit that comes the topics in `first` are read to
        where they end, before any other. Places that have one of `ends` are read before it.
        One read brings `records_max` at most, up to `behind_max` the longer it brings as many.
        """
        self.has_joined = False
        self.group: GroupMetadata = None
        self.held: Mapping[Place, int] = {}
        self.record_s = inf
        """What a record of the last batch took; nothing was processed yet."""
        self.rewinds: SimpleQueue[tuple[frozenset[Place], Offsets]] = SimpleQueue()
        self.untold: SimpleQueue[Offsets] = SimpleQueue()
        self._told: Offsets = {}
        self._refused_asked_at_s = 0.0
        self._group_asked_at_s = -inf
        self._lane = lane
        self._owner = owner
        self._topics = list(topics)
        self._consumer = consumer
        self._decoders = decoders
        self._stats = stats
        self._records_max = self._room = records_max
        self._behind_max = behind_max
        self._ends = dict(ends)
        self.records: Counter[str] = Counter()
        """Records read so far, by topic; those of an aborted commit are read again."""
        self._unit_of = unit_of
        self._stood_by = frozenset(stand_by)
        self._places: dict[Unit, set[Place]] = {}
        self._restores: dict[Unit, Future[Any]] = {}
        self._starts = Starts(lane, first, unit_of)
        self._claims: dict[Place, int] = {}
        self._claims_made = 0
        self.read_to: Offsets = {}
        self._lag_noted_at_s = 0.0
        self._paused: set[Place] = set()

    @property
    def is_restoring(self) -> bool:
        """Say whether there are partitions that are not read yet, for want of their state."""
        return bool(self._restores or self._starts)

    def join(self, worker: Worker) -> None:
        """Join the consumer group."""
        self._worker = worker
        self._joined_at_s = monotonic()
        rebalance = Rebalance(self._on_assigned, self._on_revoked, self._on_lost)
        self._consumer.subscribe(self._topics, rebalance)
        self._stand_by()

    def read(self, wait_s: float = limits.POLL_S, *, needs_group: bool = True) -> Work:
        """Return what waits in the log, decoded; empty work if nothing came in time.

        `needs_group` has `group` kept up to date, for commits that name this member.
        """
        self._start_restored()
        self._rewind()
        self._begin_ready()
        self._throttle()
        fetched = self._bounded(self._consumer.poll(self._room, wait_s))
        if needs_group:
            self._note_group()
        self._note_joined()
        self._tell_group()
        records = sum(len(raw.offsets) for raw in fetched.parts)
        is_behind = records >= limits.BEHIND_SHARE * self._records_max
        self._adapt(records, fetched)
        parts: list[Part] = []
        dead: list[Dead] = []
        for topic, raws in self._by_topic(fetched).items():
            self.records[topic] += sum(len(raw.offsets) for raw in raws)
            decoded = decode_parts(raws, self._decoders[topic])
            for raw, (part, bad) in zip(raws, decoded, strict=True):
                dead.extend(Dead.of(self._owner, raw, b.row, b.cause, b.detail) for b in bad)
                if len(part):
                    parts.append(part)
        read_to = {p: offset for p, offset in fetched.read_to().items() if p in self._claims}
        self._note_lag(read_to)
        claims = {place: self._claims[place] for place in read_to}
        return Work(parts, dead, read_to, claims, is_behind)

    def _by_topic(self, fetched: Fetched) -> dict[str, list[RawPart]]:
        """Return what came of places that are read, in the order it came."""
        found: dict[str, list[RawPart]] = {}
        for raw in fetched.parts:
            if raw.place in self._claims and len(raw.offsets):
                found.setdefault(raw.topic, []).append(raw)
        return found

    def _adapt(self, records: int, fetched: Fetched) -> None:
        """Take more at once the further this lane is behind: most of a step's cost is by batch."""
        if records < self._room:
            self._room = self._records_max
            return
        size = sum(column_of(raw.values).nbytes for raw in fetched.parts)
        by_size = records * limits.BEHIND_BYTES_MAX // max(size, 1)
        by_time = int(limits.BEHIND_S_MAX / self.record_s)
        most = min(2 * self._room, self._behind_max, by_size, by_time)
        self._room = max(self._records_max, most)

    def _bounded(self, fetched: Fetched) -> Fetched:
        """Leave out what lies behind the ends; what was read to them is not fetched any more."""
        if not self._ends:
            return fetched
        if past := fetched.behind(self._ends):
            self._consumer.pause(past)
        return fetched.before(self._ends)

    def _note_group(self) -> None:
        """Learn by what the group knows this member, for the next commit."""
        # The answer is the client's own thread's, which has records to fetch; and one that is too
        # old only takes a commit back.
        now_s = monotonic()
        if now_s - self._group_asked_at_s >= limits.GROUP_S:
            self.group = self._consumer.metadata()
            self._group_asked_at_s = now_s

    def _note_joined(self) -> None:
        # A group with more workers than partitions tells some of them nothing.
        if not self.has_joined and monotonic() - self._joined_at_s > limits.JOIN_S:
            self.has_joined = self._consumer.is_member()

    def leave(self) -> None:
        """Leave the group; a static member is expected back."""
        self._tell_group()
        self._consumer.close()

    def note_dead(self, dead: Sequence[Dead]) -> None:
        """Count records that are none, once they are on their way to the dead letters."""
        if dead:
            self._stats.add_batch(
                self._owner,
                records_in=0,
                records_out=0,
                dead_letters=len(dead),
                busy_ns=0,
                latency_counts=latency_counts_of((), 0),
            )

    # What the group says, from within a poll.

    def _on_assigned(self, places: Sequence[Place]) -> None:
        log.info("partitions_assigned", lane=self._lane, partitions=_numbers(places))
        self._group_asked_at_s = -inf
        for place in places:
            unit = self._unit_of(place)
            if unit not in self._places:
                self._restores[unit] = self._worker.restore(unit)
            elif unit not in self._restores:
                raise InvariantError(
                    f"lane {self._lane}: {place} came after the rest of unit {unit}: the group "
                    "does not keep the topics of a chain together"
                )
            self._places.setdefault(unit, set()).add(place)
        self._stand_by()
        self.has_joined = True

    def _on_revoked(self, places: Sequence[Place]) -> None:
        # What was read before is at work or on its way there: it is finished or dropped, and the
        # commit is through, before another owner may start.
        log.info("partitions_revoked", lane=self._lane, partitions=_numbers(places))
        self._group_asked_at_s = -inf
        self._worker.release(self._forget(places), places, self._consumer.metadata())
        self._stand_by()

    def _on_lost(self, places: Sequence[Place]) -> None:
        log.warning("partitions_lost", lane=self._lane, partitions=_numbers(places))
        self._forget(places)
        self._worker.abandon()
        self._stand_by()

    def _forget(self, places: Sequence[Place]) -> set[Unit]:
        """Stop reading these places; return the units they were."""
        units = {self._unit_of(place) for place in places}
        gone = {place for unit in units for place in self._places.pop(unit, ())}
        for unit in units:
            restore = self._restores.pop(unit, None)
            if restore is not None:
                self._worker.discard(restore)
        self._starts.drop(gone)
        self._claims = {p: claim for p, claim in self._claims.items() if p not in gone}
        self.read_to = {p: offset for p, offset in self.read_to.items() if p not in gone}
        self._told = {p: offset for p, offset in self._told.items() if p not in gone}
        self._paused -= gone
        return units

    def _stand_by(self) -> None:
        if self._stood_by:
            self._worker.stand_by(self._stood_by - self._places.keys())

    # From where partitions are read.

    def _start_restored(self) -> None:
        """Begin to read units whose state is there."""
        for unit, restore in list(self._restores.items()):
            if restore.done():
                del self._restores[unit]
                claims = self._new_claims(self._places[unit])
                group = self._consumer.metadata()
                starts = self._worker.adopt(unit, restore.result(), claims, group)
                if starts is None:
                    # Should it still be ours: the state has to be asked for anew.
                    self._restores[unit] = self._worker.restore(unit)
                else:
                    self._find_start(claims, starts)
        if self._stood_by and not self._restores:
            self._worker.follow()

    def _rewind(self) -> None:
        """Read again what an aborted commit took back."""
        while not self.rewinds.empty():
            places, starts = self.rewinds.get()
            mine = places & set().union(*self._places.values())
            self._claims = {p: claim for p, claim in self._claims.items() if p not in mine}
            claims = self._new_claims(mine)
            self._worker.claim(claims)
            self._find_start(claims, starts)

    def _new_claims(self, places: Collection[Place]) -> dict[Place, int]:
        self._claims_made += 1
        return dict.fromkeys(places, self._claims_made)

    def _find_start(self, claims: Mapping[Place, int], starts: Offsets) -> None:
        """Note from where to read these places: as given, as committed, or as the log begins."""
        unknown = [place for place in claims if place not in starts]
        known = (self._consumer.committed(unknown) if unknown else {}) | starts
        for place, claim in claims.items():
            low, high = self._consumer.bounds(*place)
            offset = in_log(place, known.get(place, low), low, high)
            self._starts.add(Start(place, offset, claim), min(high, self._ends.get(place, high)))
            self.read_to.pop(place, None)  # of the last reading: what goes first is read again

    def _begin_ready(self) -> None:
        """Begin to read what may be read by now."""
        for start in self._starts.take_ready(self.read_to):
            self._consumer.start({start.place: start.offset})
            log.info("reading", lane=self._lane, place=start.place, offset=start.offset)
            self._paused.discard(start.place)
            self.read_to[start.place] = start.offset
            self._claims[start.place] = start.claim

    def _throttle(self) -> None:
        """Stop reading inputs that are far ahead of the ones they are merged with."""
        held = self.held
        full = {
            place
            for place, count in held.items()
            if count > limits.MERGE_RECORDS_MAX and place in self._claims
        }
        relieved = {
            place for place in self._paused if held.get(place, 0) < limits.MERGE_RECORDS_MAX // 2
        }
        if new := full - self._paused:
            self._consumer.pause(sorted(new))
        if relieved:
            self._consumer.resume(sorted(relieved))
        self._paused = (self._paused | full) - relieved

    # What is told of it.

    def _tell_group(self) -> None:
        offsets = self._refused()
        while not self.untold.empty():
            offsets |= self.untold.get()
        owned = self._claims.keys() | self._starts.places
        mine = {place: offset for place, offset in offsets.items() if place in owned}
        if mine:
            self._told |= mine
            self._consumer.commit(mine)

    def _refused(self) -> Offsets:
        """Return what has to be told again: a partition may have no later offset to tell."""
        if monotonic() - self._refused_asked_at_s < limits.IDLE_COMMIT_S:
            return {}
        self._refused_asked_at_s = monotonic()
        if not self._consumer.take_refused():
            return {}
        # All of them: while the group's coordinator is away the client sends commits again by
        # itself, and an older one may have overtaken the last.
        return dict(self._told)

    def _note_lag(self, read_to: Offsets) -> None:
        self.read_to |= read_to
        if monotonic() - self._lag_noted_at_s > LAG_S:
            self._stats.set_lag(self._owner, self._consumer.lag(self.read_to))
            self._lag_noted_at_s = monotonic()


def _numbers(places: Sequence[Place]) -> list[int]:
    return sorted({partition for _, partition in places})
