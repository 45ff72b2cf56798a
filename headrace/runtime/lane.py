"""One lane of a worker: reads batches, has them processed in order, commits what is finished.

Three threads, one call at a time each:

- *reading* polls the consumer, and is told of rebalances from within a poll; only it asks the
  client;
- *restoring* brings state up to date for partitions that are coming, and for others on standby;
- *processing* does the work, and owns all that is in progress.
"""

import sys
import traceback
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, get_ident
from time import monotonic
from typing import Any

import structlog

from headrace import limits
from headrace.errors import AbortedError
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.offsets import GroupMetadata
from headrace.runtime.intake import Intake
from headrace.runtime.work import Processor, Unit, Work

log = structlog.get_logger(__name__)

FOLLOW_S = 0.2
"""How long the restoring thread waits for news of standbys: how long a restore may wait for it."""


STACK_FRAMES = 6
"""How much of a stuck thread's stack is told."""


class Lane:
    """The threads of a lane; the Faust service around it takes `Work` from `read` to `handle`."""

    def __init__(
        self, name: str, *, intake: Intake, processor: Processor, commit_interval_s: float
    ) -> None:
        self.name = name
        self.intake = intake
        self.processor = processor
        self.reading = ThreadPoolExecutor(1, f"read-{name}")
        self.processing = ThreadPoolExecutor(1, f"process-{name}")
        self.restoring = ThreadPoolExecutor(1, f"restore-{name}")
        self._busy_since_s: float | None = None
        self._thread_id = 0
        self._commit_interval_s = commit_interval_s
        self._committed_at_s = monotonic()
        self._commit_took_s = 0.0
        self._claims: dict[Place, int] = {}
        self._units: set[Unit] = set()
        self._following: Future[None] = Future()
        self._lost: dict[Future[Any], Event] = {}
        self._has_failed = False
        self._is_draining = False

    @property
    def is_ready(self) -> bool:
        """Say whether the lane is in its group and has the state of all its partitions."""
        return self.intake.has_joined and not self.intake.is_restoring

    @property
    def busy_s(self) -> float:
        """Return how long the batch at hand has taken; 0 if there is none."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else monotonic() - since_s

    def stack(self) -> str:
        """Return where the processing thread stands."""
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001  (documented so)
        return "" if frame is None else "".join(traceback.format_stack(frame)[-STACK_FRAMES:])

    def start(self) -> None:
        """Join the consumer group."""
        self.intake.join(self)

    def read(self) -> Work:
        """Return what waits in the log, decoded; empty work if nothing came in time."""
        return self.intake.read(self._wait_s(), needs_group=self.processor.holds_back)

    # What the intake asks for, from the reading thread.

    def restore(self, unit: Unit) -> "Future[Any]":
        """Begin to bring the state of a unit up to date."""
        lost = Event()
        restore = self.restoring.submit(self.processor.restore, unit, lost.is_set)
        self._lost[restore] = lost
        restore.add_done_callback(self._lost.pop)
        return restore

    def discard(self, restore: "Future[Any]") -> None:
        """Forget what was restored for nothing."""
        # One that has not begun must not, one that has must know: it would fence the next owner, at
        # work by then.
        if (lost := self._lost.get(restore)) is not None:
            lost.set()
        if not restore.cancel():
            self.restoring.submit(self._discard, restore)

    def stand_by(self, units: Collection[Unit]) -> None:
        """Keep the state of these units warm from now on, and of no others."""
        self._following = self.restoring.submit(self.processor.stand_by, units)

    def follow(self) -> None:
        """Go on with that, if the restoring thread has nothing else to do."""
        if self._following.done():
            self._following.result()
            self._following = self.restoring.submit(self.processor.follow, FOLLOW_S)

    def adopt(
        self, unit: Unit, restored: Any, claims: Mapping[Place, int], group: GroupMetadata
    ) -> Offsets | None:
        """Begin to work on a unit; return from where to read, None if it is lost again."""
        found = self.processing.submit(self._adopt, unit, restored, claims, group)
        return found.result(limits.RELEASE_TIMEOUT_S)

    def release(
        self, units: Collection[Unit], places: Collection[Place], group: GroupMetadata
    ) -> None:
        """Finish the batch at hand, commit, and let go of these units and their places."""
        released = self.processing.submit(self._release, units, places, group)
        released.result(limits.RELEASE_TIMEOUT_S)

    def abandon(self) -> None:
        """Let go of everything without a commit: others have it already."""
        self.processing.submit(self._abandon).result(limits.RELEASE_TIMEOUT_S)

    def claim(self, claims: Mapping[Place, int]) -> None:
        """Accept what is read of these places from now on under these claims."""
        self.processing.submit(self._claims.update, claims)

    def _discard(self, restore: "Future[Any]") -> None:
        if restore.exception() is None:
            self.processor.discard(restore.result())

    # Processing thread.

    def handle(self, work: Work) -> None:
        """Process one piece of work, and commit when it is time.

        After a failure nothing more is processed or committed: what was in flight is read again.
        """
        if self._has_failed or self._is_draining:
            return
        self._has_failed = True  # until this call has succeeded
        self._busy_since_s = monotonic()
        self._thread_id = get_ident()
        try:
            self._handle(work.of(self._claims))
        except AbortedError as error:
            log.warning("commit_aborted", lane=self.name, error=str(error))
            self._take_back(self.processor.rollback())
        finally:
            self._busy_since_s = None
        self._has_failed = False

    def _handle(self, work: Work) -> None:
        if work.read_to:
            self._process(work)
        else:
            self.processor.idle()
        self.intake.held = self.processor.held_records()
        begun_s = monotonic()
        if begun_s - self._committed_at_s >= self._commit_gap_s(is_behind=work.is_behind):
            self.intake.untold.put(self.processor.commit(self.intake.group))
            self._committed_at_s = monotonic()
            self._commit_took_s = self._committed_at_s - begun_s

    def _process(self, work: Work) -> None:
        begun_s = monotonic()
        self.processor.process(work.parts, work.dead, work.read_to)
        if records := sum(map(len, work.parts)):
            self.intake.record_s = (monotonic() - begun_s) / records
        self.intake.note_dead(work.dead)

    def _commit_gap_s(self, *, is_behind: bool) -> float:
        """Return how long after a commit the next one is due."""
        if not self.processor.is_dirty:
            return limits.IDLE_COMMIT_S
        if is_behind or not self.processor.holds_back:
            return self._commit_interval_s
        # Others wait for what is done; but half of the time is left for doing more.
        soon_s = max(limits.COMMIT_GAP_S, self._commit_took_s)
        return min(self._commit_interval_s, soon_s)

    def _wait_s(self) -> float:
        """Return how long a read may wait for records: not past the next commit."""
        due_s = self._committed_at_s + self._commit_gap_s(is_behind=False)
        return min(max(due_s - monotonic(), limits.POLL_S_MIN), limits.POLL_S)

    def _adopt(
        self, unit: Unit, restored: Any, claims: Mapping[Place, int], group: GroupMetadata
    ) -> Offsets | None:
        if self._has_failed:
            return None
        try:
            starts = self.processor.adopt(unit, restored, group)
        except AbortedError as error:
            log.warning("claim_refused", lane=self.name, unit=unit, error=str(error))
            self._take_back(self.processor.rollback())
            return None
        self._units.add(unit)
        self._claims.update(claims)
        return starts

    def _release(
        self, units: Collection[Unit], places: Collection[Place], group: GroupMetadata
    ) -> None:
        for place in places:
            self._claims.pop(place, None)
        mine = self._units.intersection(units)
        self._units -= mine
        if self._has_failed or not mine:
            return
        starts = self.processor.release(mine, group)
        if starts is not None:
            self._take_back(starts)

    def _abandon(self) -> None:
        self._claims.clear()
        self._units.clear()
        self.processor.abandon()

    def _take_back(self, starts: Offsets) -> None:
        """Have everything read again from the last commit; drop what was read since."""
        self.intake.rewinds.put((frozenset(self._claims), starts))
        self._claims.clear()

    # The end.

    def stop(self) -> None:
        """Finish the batch at hand, commit, leave the group, release the files.

        Raises:  TimeoutError if that takes too long: what was not committed is done again.
        """
        self._is_draining = True  # what was only read is read again later
        deadline_s = monotonic() + limits.DRAIN_TIMEOUT_S

        def left_s() -> float:
            return max(0.1, deadline_s - monotonic())

        # Before the consumer closes: a closing one answers nobody.
        self.processing.submit(self._let_go).result(left_s())
        self.reading.submit(self.intake.leave).result(left_s())
        self.restoring.submit(self.processor.close).result(left_s())
        for threads in (self.reading, self.processing, self.restoring):
            threads.shutdown(wait=True)

    def _let_go(self) -> None:
        if not self._has_failed:
            self.processor.release(self._units, self.intake.group)
            self._units = set()
