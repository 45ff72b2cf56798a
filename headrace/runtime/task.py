"""One partition of a chain: its steps' state, the disk behind it, and how far it has read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headrace.runtime.chain import Chain, LoadedStep
from headrace.state.store import Changes, Checkpoint, Store


@dataclass(slots=True)
class Task:
    """A chain at work on one partition.

    `is_dirty`: something was processed since the last checkpoint. `has_moved`: at least the end of
    an input has, as it does where a transaction left a marker.
    """

    chain: Chain
    store: Store
    checkpoint: Checkpoint
    read_to: dict[str, int] = field(default_factory=dict)
    changelog_end: int = 0
    is_dirty: bool = False
    has_moved: bool = False

    def changes(self) -> Changes:
        """Return the pages changed since the last call, by table."""
        return {name: table.changes() for name, table in self.chain.tables.items()}

    def next_checkpoint(self, owner: str, layout: str, *, is_released: bool = False) -> Checkpoint:
        """Return the checkpoint that stands for all that was processed."""
        held = self.chain.held_offsets()
        return Checkpoint(
            number=self.checkpoint.number + 1,
            offsets={topic: min(end, held.get(topic, end)) for topic, end in self.read_to.items()},
            counts=dict(self.chain.counts),
            changelog_end=max(self.changelog_end, self.checkpoint.changelog_end),
            owner=owner,
            is_released=is_released,
            layout=layout,
        )

    def settle(self, changes: Changes, checkpoint: Checkpoint) -> None:
        """Note that a checkpoint counts: write it to disk."""
        self.store.write(changes, checkpoint)
        self.checkpoint = checkpoint
        self.is_dirty = self.has_moved = False


def open_task(
    steps: Sequence[LoadedStep], partition: int, store: Store, checkpoint: Checkpoint
) -> Task:
    """Return a task as its store has it."""
    pages = store.pages()
    chain = Chain(steps, partition)
    for name, table in chain.tables.items():
        table.restore(pages.get(name, {}))
    chain.counts.update(checkpoint.counts)
    return Task(chain, store, checkpoint, read_to=dict(checkpoint.offsets))


def places_of(partition: int, offsets: Mapping[str, int]) -> dict[tuple[str, int], int]:
    """Return a task's offsets by topic and partition."""
    return {(topic, partition): offset for topic, offset in offsets.items()}
