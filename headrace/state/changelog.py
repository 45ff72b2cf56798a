"""The compacted topic behind a chain's state: changed pages, then the checkpoint they make."""

import msgspec
import structlog

from headrace.byte_column import concat
from headrace.errors import RecordError
from headrace.kafka.fetched import RawPart
from headrace.kafka.producer import Producer
from headrace.state.pages import Changes, PageKey, columns_of, page_name
from headrace.state.store import CHECKPOINT_KEY, Checkpoint, Store, checkpoint_of

log = structlog.get_logger(__name__)

TAIL_BYTES_MAX = 32 * 2**20
"""Pages a restore gathers before it writes them: more cost memory, fewer cost writes."""


class Changelog:
    """Writes the state of one chain; partition p of it belongs to task p."""

    def __init__(self, topic: str, producer: Producer) -> None:
        self.topic = topic
        self._producer = producer

    def send(self, partition: int, changes: Changes, checkpoint: Checkpoint) -> None:
        """Queue the changed pages, then the checkpoint that makes them count."""
        names, contents = zip(
            *columns_of(changes),
            ([CHECKPOINT_KEY], [msgspec.json.encode(checkpoint)]),
            strict=True,
        )
        self._producer.send(self.topic, concat(contents), concat(names), partition=partition)


class ChangelogTail:
    """Brings one task's store up to what its changelog says."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.checkpoint = store.checkpoint()
        self.position = 0 if self.checkpoint is None else self.checkpoint.changelog_end
        self.records = 0
        self._open: dict[str, dict[PageKey, bytes | None]] = {}
        self._finished: dict[str, dict[PageKey, bytes | None]] = {}
        self._finished_bytes = 0

    def apply(self, part: RawPart) -> None:
        """Take what was read next; pages count when a checkpoint follows them.

        Raises:  RecordError if it is not what a chain writes.
        """
        self.records += len(part.values)
        for name, value, offset in zip(part.keys, part.values, part.offsets.tolist(), strict=True):
            try:
                self._take(name, value, offset)
            except (ValueError, msgspec.MsgspecError) as error:
                raise RecordError(
                    f"changelog {part.topic}, partition {part.partition}, offset {offset}: "
                    f"expected a page or a checkpoint, found key {(name or b'')[:100]!r}: {error}"
                ) from error

    def _take(self, name: bytes | None, value: bytes | None, offset: int) -> None:
        if name is None:
            raise ValueError("a record without a key")
        if name != CHECKPOINT_KEY:
            table, key, number = page_name(name)
            self._open.setdefault(table, {})[key, number] = value
            return
        if value is None:
            raise ValueError("a checkpoint without a value")
        found = checkpoint_of(value)
        self.checkpoint = msgspec.structs.replace(found, changelog_end=offset + 1)
        for table, pages in self._open.items():
            self._finished.setdefault(table, {}).update(pages)
            self._finished_bytes += sum(len(page or b"") for page in pages.values())
        self._open.clear()
        if self._finished_bytes > TAIL_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what counts to the store; pages behind the last checkpoint never do.

        What they belong to was not finished, and will be processed again.
        """
        if self.checkpoint is not None and self.checkpoint.changelog_end > self.position:
            self.store.write(self._finished, self.checkpoint)
            self.position = self.checkpoint.changelog_end
        self._finished.clear()
        self._finished_bytes = 0
