"""Stores on this disk, kept in step with their changelog: to restore a task or to stand by."""

from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

import structlog

from headrace import limits
from headrace.errors import RecordError, UsageError
from headrace.kafka.consumer import Reader
from headrace.kafka.offsets import OffsetQuery
from headrace.state.changelog import ChangelogTail
from headrace.state.store import Checkpoint, Store

log = structlog.get_logger(__name__)

FENCE_AGAIN_S = 5.0
"""An owner that left several tasks behind is fenced once for all of them."""


class Restorer:
    """Owns the stores of a chain that no task has open; used by one thread.

    `owner` names this worker's lane; `layouts` tells by table how it is written. `fence` ends what
    another owner has left open.
    """

    def __init__(
        self,
        topic: str,
        bootstrap: str,
        folder: Path,
        *,
        owner: str,
        layouts: Mapping[str, str],
        fence: Callable[[str], None],
    ) -> None:
        self._topic = topic
        self._folder = folder
        self._owner = owner
        self._layouts = layouts
        self._fence = fence
        self._logs = OffsetQuery(bootstrap)
        self._reader = Reader(bootstrap, f"{topic}-restore")
        self._standby_reader = Reader(bootstrap, f"{topic}-standby")
        self._standbys: dict[int, ChangelogTail] = {}
        self._fenced_at_s: dict[str, float] = {}

    def restore(self, partition: int, is_lost: Callable[[], bool]) -> tuple[Store, Checkpoint]:
        """Return a task's store and checkpoint: what is on disk, brought up to date.

        Nothing that another owner may still write can count after this: an owner that did not let
        go of the task is fenced, and what it left open is waited for. Unless the task `is_lost`
        meanwhile: the owner on record may be the next one, at work.
        """
        started_at_s = monotonic()
        tail = self._standbys.pop(partition, None)
        was_standby = tail is not None
        if tail is None:
            tail = self._open(partition)
        else:
            self._follow_others()
        read = tail.records
        self._read(tail, partition, self._reader.bounds(self._topic, partition)[1])
        # Asked after the claim was read: whoever claimed it after us was given it after we let go.
        if not is_lost():
            self._fence_previous(tail.checkpoint)
        ends = self._logs.ends([(self._topic, partition)])
        self._read(tail, partition, ends[self._topic, partition])
        found = tail.checkpoint or Checkpoint()
        self._require_layouts(partition, found)
        log.info(
            "state_restored",
            topic=self._topic,
            partition=partition,
            checkpoint=found.number,
            was_standby=was_standby,
            records_read=tail.records - read,
            took_s=round(monotonic() - started_at_s, 3),
        )
        return tail.store, found

    def stand_by(self, partitions: set[int]) -> None:
        """Follow the changelogs of these tasks from now on, and of no others."""
        for partition in set(self._standbys) - partitions:
            self._standbys.pop(partition).store.close()
        for partition in partitions - set(self._standbys):
            self._standbys[partition] = self._open(partition)
        self._follow_others()

    def follow(self, timeout_s: float) -> None:
        """Take in what the owners of followed tasks have written meanwhile."""
        if not self._standbys:
            return
        for part in self._standby_reader.poll(limits.BATCH_RECORDS_MAX, timeout_s).parts:
            tail = self._standbys.get(part.partition)
            if tail is not None:
                tail.apply(part)
                tail.flush()

    def close(self) -> None:
        """Stop reading and release the stores."""
        self._logs.close()
        self._reader.close()
        self._standby_reader.close()
        for tail in self._standbys.values():
            tail.store.close()
        self._standbys.clear()

    def _follow_others(self) -> None:
        self._standby_reader.assign(
            {(self._topic, p): self._start(p, tail) for p, tail in self._standbys.items()}
        )

    def _start(self, partition: int, tail: ChangelogTail) -> int:
        return max(tail.position, self._reader.bounds(self._topic, partition)[0])

    def _open(self, partition: int) -> ChangelogTail:
        tail = ChangelogTail(Store(self._folder / str(partition)))
        _, end = self._reader.bounds(self._topic, partition)
        found = tail.checkpoint
        foreign = found is not None and bool(self._changed(found))
        if foreign or tail.position > end:
            log.error(
                "state_foreign",
                topic=self._topic,
                partition=partition,
                cause="another layout" if foreign else "ahead of its changelog",
                remedy="rebuilt from the changelog",
            )
            tail.store.clear()
            return ChangelogTail(tail.store)
        return tail

    def _read(self, tail: ChangelogTail, partition: int, end: int) -> None:
        place = (self._topic, partition)
        start = self._start(partition, tail)
        try:
            for part in self._reader.read_through({place: start}, {place: end}):
                tail.apply(part)
        except RecordError as error:
            raise UsageError(
                f"{error}; somebody else has written to it: delete the topic, which is made anew, "
                "empty, and say with headrace reset where to start"
            ) from error
        tail.flush()

    def _fence_previous(self, found: Checkpoint | None) -> None:
        if found is None or found.is_released or found.owner in ("", self._owner):
            return
        if monotonic() - self._fenced_at_s.get(found.owner, -FENCE_AGAIN_S) < FENCE_AGAIN_S:
            return
        self._fence(found.owner)
        self._fenced_at_s[found.owner] = monotonic()

    def _require_layouts(self, partition: int, found: Checkpoint) -> None:
        for table in self._changed(found):
            raise UsageError(
                f"changelog {self._topic}, partition {partition}, table {table}: expected pages of "
                f"layout {self._layouts[table]}, found {found.layouts[table]}: the table changed "
                "under its old name; raise the version in its name, and it begins empty where the "
                "old one ended, or restore the code that wrote it"
            )

    def _changed(self, found: Checkpoint) -> list[str]:
        """Return the tables that were written in another way than this worker would."""
        return [
            table
            for table, layout in self._layouts.items()
            if found.layouts.get(table, layout) != layout
        ]
