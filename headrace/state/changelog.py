"""The compacted topic behind a chain's state: changed pages, then the checkpoint they make."""

from time import monotonic

import msgspec
import structlog

from headrace import limits
from headrace.errors import TransientError
from headrace.kafka.consumer import Consumer
from headrace.kafka.producer import Producer
from headrace.state.store import (
    CHECKPOINT_KEY,
    Changes,
    Checkpoint,
    Store,
    checkpoint_of,
    page_bytes,
    page_name,
)
from headrace.state.tables import PageKey

log = structlog.get_logger(__name__)

END_EVERY_CHECKPOINTS = 50
"""How often a checkpoint notes where the changelog stands: a restart re-reads no more than that."""

Pages = dict[str, dict[PageKey, bytes]]


class Changelog:
    """Writes and restores the state of one chain; partition p of it belongs to task p."""

    def __init__(self, topic: str, bootstrap: str, producer: Producer) -> None:
        self.topic = topic
        self._producer = producer
        self._reader = Consumer(bootstrap, f"{topic}-restore", f"{topic}-restore")

    def send_pages(self, partition: int, changes: Changes) -> None:
        """Queue the changed pages; they count for nothing before their checkpoint follows."""
        keys = []
        values = []
        for table, pages in changes.items():
            for (key, page), value in pages.items():
                keys.append(page_bytes(table, key, page))
                values.append(value)
        if keys:
            self._producer.send(self.topic, values, keys, partition=partition)

    def send_checkpoint(self, partition: int, checkpoint: Checkpoint) -> None:
        """Queue the checkpoint that makes the pages before it count."""
        value = msgspec.json.encode(checkpoint)
        self._producer.send(self.topic, [value], [CHECKPOINT_KEY], partition=partition)

    def end(self, partition: int) -> int:
        """Return the offset after the last record of a task's changelog."""
        return self._reader.bounds(self.topic, partition)[1]

    def restore(self, partition: int, store: Store) -> tuple[Pages, Checkpoint | None]:
        """Return a task's pages and checkpoint: what is on disk, brought up to date.

        Pages behind the last checkpoint are left out: what they belong to was never finished, and
        will be processed again.
        """
        pages, checkpoint = store.read()
        start = 0 if checkpoint is None else checkpoint.changelog_end
        tail, latest = self._read_from(partition, start)
        if latest is None or (checkpoint is not None and latest.number <= checkpoint.number):
            return pages, checkpoint
        latest = msgspec.structs.replace(latest, changelog_end=self.end(partition))
        store.write(tail, latest)
        log.info("state_restored", topic=self.topic, partition=partition, checkpoint=latest.number)
        return store.read()

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def _read_from(
        self, partition: int, start: int
    ) -> tuple[dict[str, dict[PageKey, bytes | None]], Checkpoint | None]:
        """Return the pages from an offset up to the last checkpoint, and that checkpoint."""
        low, end = self._reader.bounds(self.topic, partition)
        following = max(start, low)
        finished: dict[str, dict[PageKey, bytes | None]] = {}
        open_pages: list[tuple[str, PageKey, bytes | None]] = []
        latest: Checkpoint | None = None
        self._reader.assign({(self.topic, partition): following})
        heard_at = monotonic()
        while following < end:
            parts = self._reader.poll(limits.BATCH_RECORDS_MAX, 1.0)
            if not parts and monotonic() - heard_at > limits.REQUEST_TIMEOUT_S:
                raise TransientError(
                    f"changelog {self.topic}, partition {partition}: stuck at offset {following} "
                    f"of {end}"
                )
            for part in parts:
                heard_at = monotonic()
                following = part.offsets[-1] + 1
                for name, value in zip(part.keys, part.values, strict=True):
                    if name == CHECKPOINT_KEY and value is not None:
                        latest = checkpoint_of(value)
                        for table, page, data in open_pages:
                            finished.setdefault(table, {})[page] = data
                        open_pages.clear()
                    elif name is not None:
                        table, key, number = page_name(name)
                        open_pages.append((table, (key, number), value))
        self._reader.assign({})  # it would go on fetching what this very task writes
        return finished, latest
