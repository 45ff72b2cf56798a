"""From where the partitions of a lane are to be read, and which of them before the others."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import monotonic

from headrace import limits
from headrace.errors import TransientError
from headrace.kafka.fetched import Offsets, Place
from headrace.runtime.work import Unit

_LOOK_S_MAX = 1.0
"""A reader looks more often than that, unless it cannot read."""


@dataclass(frozen=True, slots=True)
class Start:
    """From where a place is to be read, under which claim."""

    place: Place
    offset: int
    claim: int


@dataclass(frozen=True, slots=True)
class Until:
    """To where a place is read before others of its unit, and for how long it may still be read."""

    offset: int
    left_s: float


class Starts:
    """Places that are not read yet; of each unit the topics in `first` go before the others.

    Those are read to where they ended when they were noted. Without it a record of a stream would
    miss rows, or an order an operator's halt, that had been there long before.
    """

    def __init__(self, lane: str, first: Collection[str], unit_of: Callable[[Place], Unit]) -> None:
        self._lane = lane
        self._first = frozenset(first)
        self._unit_of = unit_of
        self._due: dict[Place, Start] = {}
        self._until: dict[Place, Until] = {}
        self._looked_at_s = monotonic()

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self._due)

    @property
    def places(self) -> Collection[Place]:
        """Return what is not read yet."""
        return self._due.keys()

    def add(self, start: Start, end: int) -> None:
        """Note a place whose log ends there just now."""
        self._due[start.place] = start
        if start.place[0] in self._first:
            self._until[start.place] = Until(end, limits.ASIDE_WAIT_S_MAX)

    def drop(self, places: Collection[Place]) -> None:
        """Forget places that are gone."""
        self._due = {p: start for p, start in self._due.items() if p not in places}
        self._until = {p: until for p, until in self._until.items() if p not in places}

    def take_ready(self, read_to: Offsets) -> list[Start]:
        """Return what may begin, as things stand, once.

        Raises:  TransientError if what goes before others is not read in time.
        """
        waiting = self._waiting(read_to)
        ready = [
            start
            for place, start in self._due.items()
            if place[0] in self._first or self._unit_of(place) not in waiting
        ]
        for start in ready:
            del self._due[start.place]
        return ready

    def _waiting(self, read_to: Offsets) -> set[Unit]:
        """Return the units of which something is not read yet that goes before the rest."""
        now_s = monotonic()
        # A reader that was held up by what is processed did not read meanwhile.
        spent_s = min(now_s - self._looked_at_s, _LOOK_S_MAX)
        self._looked_at_s = now_s
        behind = {
            place: Until(until.offset, until.left_s - spent_s)
            for place, until in self._until.items()
            if read_to.get(place, -1) < until.offset
        }
        for (topic, partition), until in behind.items():
            if until.left_s < 0:
                raise TransientError(
                    f"lane {self._lane}: topic {topic}, partition {partition}: not read to offset "
                    f"{until.offset} within {limits.ASIDE_WAIT_S_MAX} s of its start"
                )
        self._until = behind
        return {self._unit_of(place) for place in behind}
