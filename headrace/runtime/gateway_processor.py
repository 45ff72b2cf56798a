"""What a lane does with commands: write the intent, send under its lease, write what came of it."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import pyarrow as pa
import structlog

from headrace.batch import Part
from headrace.errors import AbortedError, RecordError, TransientError
from headrace.gateway import Command, NotSent, Page, Remote, Reply, Reported, Unanswered
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.offsets import GroupMetadata
from headrace.runtime.chain import Dead
from headrace.runtime.emission import Emission, TopicCodec, emission_of
from headrace.runtime.gateway_desk import Act, Action, Desk
from headrace.runtime.gateway_journal import Journal, Restored
from headrace.runtime.stats import Stats, latency_counts_of
from headrace.topology import Gateway

log = structlog.get_logger(__name__)

GATEWAY_RECORDS_MAX = 64
"""Commands a lane hands over at once: with 32 calls at a time two rounds, far less than a drain."""

PUSH_PAGES_MAX = 8
"""Pages of the far side's log read in one go: what is further behind waits for the next."""


@dataclass(frozen=True, slots=True)
class Read:
    """A command as it was read, and the offset after it."""

    place: Place
    offset: int
    command: Command
    age_s: float


class GatewayProcessor:
    """Drives the desks of the partitions this process owns.

    `restore`, `stand_by`, `follow` and `discard` are called by the restoring thread, all others by
    the processing thread. `group` returns what the group knows this member by just now.
    """

    def __init__(
        self,
        gateway: Gateway,
        remote: Remote,
        *,
        journal: Journal,
        codec: TopicCodec,
        group: Callable[[], GroupMetadata],
        stats: Stats,
        clock_s: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.owner = owner_of(gateway)
        self._rules = gateway.rules
        self._remote = remote
        self._journal = journal
        self._codec = codec
        self._group = group
        self._stats = stats
        self._clock_s = clock_s
        self._now_ns = now_ns
        self._desks: dict[int, Desk] = {}
        self._calls = ThreadPoolExecutor(self._rules.parallel_max + 1, self.owner)
        self._offsets: Offsets = {}
        self._dead: list[Dead] = []
        self._pushed_at_s = float("-inf")
        self._away_since_s: float | None = None
        self._reports_written = 0
        self._letters_written = 0

    def restore(self, partition: int, is_lost: Callable[[], bool]) -> Restored:
        """Return what is committed of a partition; no earlier owner can commit any more."""
        return self._journal.restore(partition, is_lost)

    def stand_by(self, partitions: Collection[int]) -> None:
        """Keep the state of these partitions of other workers warm."""
        self._journal.stand_by(partitions)

    def follow(self, timeout_s: float) -> None:
        """Take in what other workers have written of it."""
        self._journal.follow(timeout_s)

    def discard(self, restored: Restored) -> None:
        """Release what was restored for nothing."""
        self._journal.discard(restored)

    def adopt(self, partition: int, restored: Restored, group: GroupMetadata) -> Offsets:
        """Begin to work on a partition; return from where to read.

        The claim is on record before anything is written: should this worker die, the next owner
        knows whom to fence.
        Raises:  AbortedError if the partition is lost again.
        """
        self._journal.hold(partition, restored)
        desk = self._desks[partition] = self._open(restored)
        if desk.open_count:
            log.warning(
                "outcomes_asked", gateway=self.owner, partition=partition, open=desk.open_count
            )
        try:
            self._commit(group, partitions=[partition])
        except AbortedError:
            self._drop([partition])
            raise
        return _places_of(partition, restored)

    def release(self, partitions: Collection[int], group: GroupMetadata) -> Offsets | None:
        """Let go of these partitions, with everything that is known of them committed.

        Returns from where the others have to be read again, if the commit did not count.
        """
        mine = [partition for partition in partitions if partition in self._desks]
        try:
            self._commit(group, released=mine)
        except AbortedError as error:
            log.warning("release_without_commit", partitions=sorted(mine), error=str(error))
            self._drop(mine)
            return self.rollback()
        self._drop(mine)
        return None

    def abandon(self) -> None:
        """Drop everything: it belongs to other workers already."""
        self._journal.abort()
        self._drop(list(self._desks))

    def process(self, parts: Sequence[Part], dead: Sequence[Dead], read_to: Offsets) -> None:
        """Send the commands that were read, each after the commit of its intent."""
        started_ns = time.perf_counter_ns()
        self._dead += dead
        self._begin_desks()
        commands = list(self._commands(parts))
        for start in range(0, len(commands), self._rules.parallel_max):
            for read in commands[start : start + self._rules.parallel_max]:
                desk = self._desks[read.place[1]]
                desk.take(read.command, age_s=read.age_s, now_s=self._clock_s())
                self._offsets[read.place] = read.offset
            self._commit(self._group())
            self._act()
        self._offsets |= read_to
        self._attend()
        if parts:
            self._note(parts, time.perf_counter_ns() - started_ns)

    def idle(self) -> None:
        """Hear what the far side has to say, ask what is due, and write what came of it."""
        self._begin_desks()
        self._attend()
        if self._reports_written:
            self._note((), 0)

    @property
    def holds_back(self) -> bool:
        """Say yes: a gateway always works in transactions."""
        return True

    @property
    def is_dirty(self) -> bool:
        """Say whether there is something that should be written soon."""
        return bool(self._dead) or any(desk.is_dirty for desk in self._desks.values())

    def commit(self, group: GroupMetadata) -> Offsets:
        """Make what is left count; the group is told by the same transaction.

        Raises:  AbortedError if nothing of it counts: `rollback` comes next.
        """
        if self._offsets or self.is_dirty:
            self._commit(group)
        return {}

    def rollback(self) -> Offsets:
        """Take everything back to the last commit; return from where to read again.

        What was sent since then is not taken back by it: its outcome is unknown now, and asked for.
        """
        self._journal.abort()
        self._offsets.clear()
        self._dead.clear()
        starts: Offsets = {}
        for partition, before in self._desks.items():
            restored = self._journal.committed(partition)
            desk = self._desks[partition] = self._open(restored)
            desk.counts.update(before.counts)
            starts |= _places_of(partition, restored)
        return starts

    def held_records(self) -> Mapping[Place, int]:
        """Nothing is held back: a command that was read is written in the same call."""
        return {}

    def close(self) -> None:
        """Disconnect; calls that still hang end by their own timeout."""
        self._calls.shutdown(wait=False, cancel_futures=True)
        self._remote.close()
        self._journal.close()

    def _open(self, restored: Restored) -> Desk:
        desk = Desk(
            self.owner,
            self._rules,
            cancel_blocks=self._remote.cancel_blocks,
            refusal=self._remote.refusal,
        )
        desk.restore(restored.tables, self._clock_s())
        return desk

    def _drop(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            del self._desks[partition]
            self._journal.drop(partition)
            self._stats.set_counts(f"{self.owner}-{partition}", Counter())
        self._offsets = {p: o for p, o in self._offsets.items() if p[1] in self._desks}

    def _commands(self, parts: Sequence[Part]) -> Iterator[Read]:
        now_ms = self._now_ns() // 1_000_000
        for part in parts:
            offsets, stamps = part.offsets.tolist(), part.timestamps_ms.tolist()
            for row, record in enumerate(part.records.to_pylist()):
                headers = () if part.headers is None else part.headers[row]
                try:
                    command = self._remote.read(record, headers)
                except RecordError as error:
                    letter = Dead.of(self.owner, part, row, "command_invalid", str(error))
                    self._dead.append(letter)
                    self._letters_written += 1
                    continue
                age_s = (now_ms - stamps[row]) / 1_000
                yield Read((part.topic, part.partition), offsets[row] + 1, command, age_s)

    def _attend(self) -> None:
        """Hear what the far side has to say, ask what is due, and write what came of it."""
        self._hear_pushes()
        self._commit_if_dirty()
        self._act()
        self._commit_if_dirty()
        self._note_counts()

    def _commit_if_dirty(self) -> None:
        if self.is_dirty:
            self._commit(self._group())

    def _begin_desks(self) -> None:
        """Learn where the far side's log ends before the first command of a partition is sent.

        While that is not known, commands are refused: nothing of them was sent.
        """
        fresh = [desk for desk in self._desks.values() if desk.cursor is None]
        if fresh and (page := self._page(after=0, limit=1)) is not None:
            for desk in fresh:
                desk.begin(page.end)

    def _hear_pushes(self) -> None:
        """Read the far side's log from where the desk that is furthest behind stands."""
        desks = [desk for desk in self._desks.values() if desk.cursor is not None]
        if not desks or self._clock_s() < self._pushed_at_s + self._rules.push_interval_s:
            return
        self._pushed_at_s = self._clock_s()
        for _ in range(PUSH_PAGES_MAX):
            before = min(desk.cursor or 0 for desk in desks)
            page = self._page(after=before, limit=self._rules.push_records_max)
            if page is None:
                return
            for desk in desks:
                desk.pushed(page.events, self._clock_s())
            is_full = len(page.events) >= self._rules.push_records_max
            if not is_full or min(desk.cursor or 0 for desk in desks) == before:
                return

    def _page(self, *, after: int, limit: int) -> Page | None:
        call = self._calls.submit(self._remote.pushed, after, limit)
        done, _ = wait([call], timeout=self._rules.call_s_max)
        call.cancel()  # if it has not begun: nobody waits for it any more
        page = call.result() if done else Unanswered(f"no answer in {self._rules.call_s_max} s")
        if isinstance(page, Unanswered):
            self._note_silence(page.detail)
            return None
        self._away_since_s = None
        return page

    def _act(self) -> None:
        """Do what is due at every desk, in parallel, and tell the desks what came of it."""
        due: list[tuple[Desk, Action]] = []
        for act in Act:
            for desk in self._desks.values():
                room = self._rules.parallel_max - len(due)
                due += [(desk, action) for action in desk.due(act, self._clock_s(), room)]
        calls = [self._calls.submit(self._call, action) for _, action in due]
        wait(calls, timeout=self._rules.call_s_max)
        for (desk, action), call in zip(due, calls, strict=True):
            reply = self._reply(call)
            if isinstance(reply, Unanswered | NotSent):
                self._note_silence(reply.detail if isinstance(reply, Unanswered) else reply.reason)
            else:
                self._away_since_s = None
            desk.replied(action, reply, self._clock_s())

    def _reply(self, call: "Future[Reply]") -> Reply:
        if call.cancel():
            return Unanswered("no thread was free to send it in time")
        if not call.done():
            return Unanswered(f"no answer in {self._rules.call_s_max} s")
        return call.result()

    def _call(self, action: Action) -> Reply:
        if action.act is Act.ASK:
            return self._remote.query(action.command)
        # Once more right before the wire: this thread may have been stopped since it was due. The
        # time of day is read first: a stop in between then makes the request expire too early.
        now_ns = self._now_ns()
        left_s = action.lease_until_s - self._clock_s()
        if left_s <= 0:
            return Unanswered("the lease lapsed before it was sent")
        if action.act is Act.CANCEL:
            return self._remote.cancel(action.command)
        return self._remote.send(action.command, expire_time_ns=now_ns + int(left_s * 1e9))

    def _commit(
        self,
        group: GroupMetadata,
        *,
        partitions: Collection[int] | None = None,
        released: Collection[int] = (),
    ) -> None:
        """Write what is known of these partitions, or of all, in one transaction.

        A failure is not mended here: what counts is restored, here or elsewhere.
        """
        began_s = self._clock_s()
        desks = {p: self._desks[p] for p in (self._desks if partitions is None else partitions)}
        changes = {partition: desk.changes() for partition, desk in desks.items()}
        reported = [each for desk in desks.values() for each in desk.reports()]
        self._journal.commit(
            changes,
            emissions=self._emissions(reported),
            dead=self._dead,
            offsets={place: o for place, o in self._offsets.items() if place[1] in desks},
            group=group,
            released=released,
        )
        self._offsets = {p: o for p, o in self._offsets.items() if p[1] not in desks}
        self._dead.clear()
        for desk in desks.values():
            desk.committed(began_s)
        self._reports_written += len(reported)

    def _emissions(self, reported: Sequence[Reported]) -> list[Emission]:
        if not reported:
            return []
        rows = [dict(each.report.row) for each in reported]
        records = pa.RecordBatch.from_pylist(rows, schema=self._codec.schema.arrow)
        headers = [each.headers for each in reported]
        return [emission_of(self.owner, records, self._codec, headers if any(headers) else None)]

    def _note_silence(self, detail: str) -> None:
        """Tell that the far side did not answer; stop when it has been silent for too long."""
        now_s = self._clock_s()
        if self._away_since_s is None:
            self._away_since_s = now_s
            log.warning("remote_silent", gateway=self.owner, detail=detail)
        if now_s - self._away_since_s > self._rules.outage_s_max:
            raise TransientError(
                f"{self.owner}: the far side has not answered for {self._rules.outage_s_max} s: "
                f"{detail}; open commands stay written and are asked for after a restart"
            )

    def _note(self, parts: Sequence[Part], busy_ns: int) -> None:
        now_ms = self._now_ns() // 1_000_000
        self._stats.add_batch(
            self.owner,
            records_in=sum(len(part) for part in parts),
            records_out=self._reports_written,
            dead_letters=self._letters_written,
            busy_ns=busy_ns,
            latency_counts=latency_counts_of(parts, now_ms),
        )
        self._reports_written = self._letters_written = 0

    def _note_counts(self) -> None:
        for partition, desk in self._desks.items():
            counts = {f"{self.owner}.{name}": count for name, count in desk.counts.items()}
            self._stats.set_counts(f"{self.owner}-{partition}", Counter(counts))


def owner_of(gateway: Gateway) -> str:
    """Return the name under which a gateway's tables, stats and dead letters are known."""
    return f"gateway_{gateway.name}"


def _places_of(partition: int, restored: Restored) -> Offsets:
    return {(topic, partition): offset for topic, offset in restored.offsets.items()}
