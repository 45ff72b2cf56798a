"""One partition of a chain: its steps' state, the disk behind it, and how far it has read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from headrace.runtime.chain import Chain, LoadedStep
from headrace.state.pages import Changes, PageKey
from headrace.state.store import Checkpoint, Store


@dataclass(slots=True)
class Task:
    """A chain at work on one partition.

    `is_dirty`: something was processed since the last checkpoint. `has_moved`: at least the end of
    an input has, as it does where a transaction left a marker. `gone` are pages to delete, of
    tables that the steps do not have any more.
    """

    chain: Chain
    store: Store
    checkpoint: Checkpoint
    read_to: dict[str, int] = field(default_factory=dict)
    changelog_end: int = 0
    is_dirty: bool = False
    has_moved: bool = False
    gone: dict[str, dict[PageKey, bytes | None]] = field(default_factory=dict)

    def changes(self) -> Changes:
        """Return the pages changed since the last call, and those that are gone, by table."""
        return {name: table.changes() for name, table in self.chain.tables.items()} | self.gone

    def next_checkpoint(
        self, owner: str, layouts: Mapping[str, str], *, is_released: bool = False
    ) -> Checkpoint:
        """Return the checkpoint that stands for all that was processed."""
        held = self.chain.held_offsets()
        return Checkpoint(
            number=self.checkpoint.number + 1,
            offsets={topic: min(end, held.get(topic, end)) for topic, end in self.read_to.items()},
            counts=dict(self.chain.counts),
            changelog_end=max(self.changelog_end, self.checkpoint.changelog_end),
            owner=owner,
            is_released=is_released,
            layouts=dict(layouts),
        )

    def settle(self, changes: Changes, checkpoint: Checkpoint) -> None:
        """Note that a checkpoint counts: write it to disk."""
        self.store.write(changes, checkpoint)
        for table in self.chain.tables.values():
            table.settle()
        self.checkpoint = checkpoint
        self.gone = {}
        self.is_dirty = self.has_moved = False

    def roll_back(self) -> None:
        """Take everything back to the last checkpoint: what has changed since, and nothing else."""
        for table in self.chain.tables.values():
            table.roll_back(self.store)
        self.chain = self.chain.begun_again()
        self.chain.counts.update(self.checkpoint.counts)
        self.read_to = dict(self.checkpoint.offsets)
        self.is_dirty = self.has_moved = False


def open_task(
    steps: Sequence[LoadedStep], partition: int, store: Store, checkpoint: Checkpoint
) -> Task:
    """Return a task as its store has it; objects are read from there when they are asked for.

    What is there of other tables is deleted with the next commit: were it kept, a worker of the old
    code would find it again beside offsets it knows nothing of. Where a table is new, the reference
    topics of its step are read from their beginning: it has none of their rows.
    """
    checkpoint = msgspec.structs.replace(
        checkpoint, offsets=checkpoint.offsets | _begun_anew(steps, checkpoint)
    )
    chain = Chain(steps, partition)
    for table in chain.tables.values():
        table.attach(store)
    chain.counts.update(checkpoint.counts)
    gone: dict[str, dict[PageKey, bytes | None]] = {
        name: dict.fromkeys(store.pages(name))
        for name in store.tables()
        if name not in chain.tables
    }
    return Task(chain, store, checkpoint, read_to=dict(checkpoint.offsets), gone=gone)


def _begun_anew(steps: Sequence[LoadedStep], checkpoint: Checkpoint) -> dict[str, int]:
    """Return 0 for the reference topics that a table which was not there before is made of."""
    return {
        topic.name: 0
        for loaded in steps
        if loaded.step.table is not None and loaded.step.table.name not in checkpoint.layouts
        for topic in loaded.step.reads
        if topic.reference and topic.name in checkpoint.offsets
    }


def places_of(partition: int, offsets: Mapping[str, int]) -> dict[tuple[str, int], int]:
    """Return a task's offsets by topic and partition."""
    return {(topic, partition): offset for topic, offset in offsets.items()}
