"""Which fault strikes whom when: a function of the seed and the fleet, and of nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from headrace.faults import limits


@dataclass(frozen=True, slots=True)
class Roster:
    """What there is to strike: names of workers by lane, servers, the feed, topics to repeat.

    `drill` is the control that is said and taken back, if there is one.
    """

    lanes: Mapping[str, tuple[str, ...]]
    servers: tuple[str, ...] = ("kafka", "postgres", "redis")
    source: str = ""
    repeatable: tuple[str, ...] = ()
    drill: str = ""

    @property
    def workers(self) -> tuple[str, ...]:
        """Return the names of all workers."""
        return tuple(name for names in self.lanes.values() for name in names)

    def lane_of(self, worker: str) -> str:
        """Return the lane of a worker; of a name that is none, the name."""
        found = [lane for lane, names in self.lanes.items() if worker in names]
        return found[0] if found else worker


@dataclass(frozen=True, slots=True)
class Menu:
    """A kind of fault as the schedule sees it.

    `targets` in the fleet at hand; `length_s` least and most; `weight` how many of it are in a
    round; `aftermath_s` what its healing takes.
    """

    name: str
    targets: tuple[str, ...]
    length_s: tuple[float, float]
    weight: int = 1
    aftermath_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault to come; seconds from the start of the input."""

    at_s: float
    fault: str
    target: str
    length_s: float

    @property
    def until_s(self) -> float:
        """Return when it is healed."""
        return self.at_s + self.length_s


def make_schedule(
    seed: int, menus: Sequence[Menu], *, duration_s: float, count: int
) -> list[Planned]:
    """Return the faults of a seed in order of time; fewer than `count` where there is no room.

    Every kind that has a target comes before any comes twice as often as its weight says. At most
    `limits.ACTIVE_MAX` are active at a time, never two of one target.
    """
    random = Random(f"headrace faults {seed}")  # noqa: S311  (a schedule, not a secret)
    deck = _deck(random, [menu for menu in menus if menu.targets], count)
    usable_s = duration_s - limits.CALM_BEFORE_S - limits.CALM_AFTER_S
    found: list[tuple[Planned, float]] = []
    for place, menu in enumerate(deck):
        target = random.choice(menu.targets)
        length_s = round(random.uniform(*menu.length_s), 2)
        share = (place + random.random() / 2) / max(1, len(deck))
        at_s = _first_room(limits.CALM_BEFORE_S + share * usable_s, length_s, menu, target, found)
        if at_s + length_s <= duration_s - limits.CALM_AFTER_S:
            planned = Planned(round(at_s, 2), menu.name, target, length_s)
            found.append((planned, menu.aftermath_s + limits.BREATH_S))
    return sorted((planned for planned, _ in found), key=lambda planned: planned.at_s)


def _deck(random: Random, menus: Sequence[Menu], count: int) -> list[Menu]:
    round_of = [menu for menu in menus for _ in range(menu.weight)]
    deck: list[Menu] = []
    while menus and len(deck) < count:
        random.shuffle(round_of)
        deck += round_of
    return deck[:count]


def _first_room(
    at_s: float,
    length_s: float,
    menu: Menu,
    target: str,
    found: Sequence[tuple[Planned, float]],
) -> float:
    """Return the first time not before `at_s` at which a fault fits among the others."""
    until = length_s + menu.aftermath_s + limits.BREATH_S
    while True:
        others = [
            (other.at_s, other.until_s + after_s, other.target)
            for other, after_s in found
            if other.at_s < at_s + until and other.until_s + after_s > at_s
        ]
        is_taken = any(struck == target for _, _, struck in others)
        if not is_taken and _most_at_once(others) < limits.ACTIVE_MAX:
            return at_s
        at_s += limits.PLACING_STEP_S


def _most_at_once(spans: Sequence[tuple[float, float, str]]) -> int:
    """Return how many of these spans overlap at most."""
    edges = sorted([(start, 1) for start, _, _ in spans] + [(end, -1) for _, end, _ in spans])
    most = active = 0
    for _, step in edges:
        active += step
        most = max(most, active)
    return most
