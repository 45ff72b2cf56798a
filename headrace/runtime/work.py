"""What a lane hands to whatever processes its records, and what that has to be able to do."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from headrace.batch import Part
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.offsets import GroupMetadata
from headrace.runtime.chain import Dead

Unit: TypeAlias = Any
"""What moves between workers as one: a chain's partition (int) of all topics, a sink's Place."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one poll brought: decoded parts, records that are none, and how far it read.

    `claims` says for each topic-partition since which start of it this was read: what was read
    before the last start is dropped. `is_behind` says that more waited than is worth waiting for:
    the next poll need not wait until this is processed.
    """

    parts: Sequence[Part] = ()
    dead: Sequence[Dead] = ()
    read_to: Offsets = field(default_factory=dict)
    claims: Mapping[Place, int] = field(default_factory=dict)
    is_behind: bool = False

    def of(self, claims: Mapping[Place, int]) -> "Work":
        """Return the work of places that are still claimed as they were when it was read."""
        mine = {place for place, claim in self.claims.items() if claims.get(place) == claim}
        if len(mine) == len(self.claims):
            return self
        return Work(
            [part for part in self.parts if (part.topic, part.partition) in mine],
            [letter for letter in self.dead if (letter.topic, letter.partition) in mine],
            {place: to for place, to in self.read_to.items() if place in mine},
            {place: self.claims[place] for place in mine},
            self.is_behind,
        )


class Processor(Protocol):
    """What a lane feeds: a chain of steps, or a sink."""

    # The restoring thread's.

    def restore(self, unit: Unit, is_lost: Callable[[], bool]) -> Any:
        """Return what is known of a unit that is coming; once it `is_lost` it is another's."""

    def stand_by(self, units: Collection[Unit]) -> None:
        """Keep the state of these units warm, and of no others."""

    def follow(self, timeout_s: float) -> None:
        """Take in what other workers have written of those."""

    def discard(self, restored: Any) -> None:
        """Release what was restored for nothing."""

    # The processing thread's.

    def adopt(self, unit: Unit, restored: Any, group: GroupMetadata) -> Offsets:
        """Begin to work on a unit; return from where to read it.

        Raises:  AbortedError if it is lost again, and with it what was not committed of others.
        """

    def release(self, units: Collection[Unit], group: GroupMetadata) -> Offsets | None:
        """Commit and let go of these units.

        Returns from where the others have to be read again, if the commit took them back.
        """

    def abandon(self) -> None:
        """Let go of everything without a commit."""

    def process(self, parts: Sequence[Part], dead: Sequence[Dead], read_to: Offsets) -> None:
        """Process what was read; `read_to` are the next offsets of all that was."""

    def idle(self) -> None:
        """Do what time alone makes due."""

    @property
    def is_dirty(self) -> bool:
        """Say whether something was processed since the last commit."""

    @property
    def holds_back(self) -> bool:
        """Say whether nobody sees what was processed before it is committed."""

    def commit(self, group: GroupMetadata) -> Offsets:
        """Make all that was processed count; return what the group is yet to be told.

        Raises:  AbortedError if nothing of it counts.
        """

    def rollback(self) -> Offsets:
        """Take everything back to the last commit; return from where to read again."""

    def held_records(self) -> Mapping[Place, int]:
        """Return how many records are read but held back, by topic and partition."""

    def close(self) -> None:
        """Release what is held."""
