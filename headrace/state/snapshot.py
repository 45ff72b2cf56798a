"""The state of one partition of a chain as its changelog has it, without a store on disk."""

from dataclasses import dataclass, field

from headrace.kafka.consumer import Reader
from headrace.kafka.fetched import RawPart
from headrace.kafka.offsets import OffsetQuery
from headrace.state.pages import Changes, PageKey, page_name
from headrace.state.store import CHECKPOINT_KEY, Checkpoint, checkpoint_of


@dataclass(slots=True)
class Snapshot:
    """Pages by name and the checkpoint they belong to; `open_pages` are behind the last one.

    The checkpoint is None if nobody has ever worked on the partition.
    """

    pages: dict[bytes, bytes] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    open_pages: dict[bytes, bytes | None] = field(default_factory=dict)

    def apply(self, part: RawPart) -> None:
        """Take what was read next; pages count when a checkpoint follows them.

        Raises:  ValueError if a checkpoint is none.
        """
        for name, value in zip(part.keys, part.values, strict=True):
            if name == CHECKPOINT_KEY:
                self.checkpoint = checkpoint_of(value or b"")
                self._close()
            elif name is not None:
                self.open_pages[name] = value

    def _close(self) -> None:
        for name, value in self.open_pages.items():
            if value is None:
                self.pages.pop(name, None)
            else:
                self.pages[name] = value
        self.open_pages.clear()

    def changes_to(self, pages: dict[bytes, bytes]) -> Changes:
        """Return what makes these pages of all that the changelog holds."""
        changes: dict[str, dict[PageKey, bytes | None]] = {}
        # A page behind the last checkpoint would count with the next one.
        for name in dict.fromkeys([*self.pages, *self.open_pages, *pages]):
            is_new = name in self.open_pages or self.pages.get(name) != pages.get(name)
            if is_new:
                table, key, number = page_name(name)
                changes.setdefault(table, {})[key, number] = pages.get(name)
        return changes


def read_snapshots(bootstrap: str, changelog: str, partitions: int) -> list[Snapshot]:
    """Return the state of each partition of a changelog, up to where it ends now.

    Open transactions are waited for: fence who left them first.
    Raises:  TransientError if a partition does not come to its end.
    """
    places = [(changelog, partition) for partition in range(partitions)]
    logs = OffsetQuery(bootstrap)
    reader = Reader(bootstrap, "headrace-snapshot")
    found = [Snapshot() for _ in places]
    try:
        for part in reader.read_through(logs.starts(places), logs.ends(places)):
            found[part.partition].apply(part)
    finally:
        reader.close()
        logs.close()
    return found
