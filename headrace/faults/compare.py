"""Records of two runs of one input held together: lost, doubled, out of order, changed."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.faults.records import RunRecords, TopicRecords

Group = tuple[Hashable, ...]


@dataclass(slots=True)
class Difference:
    """How a run's records of one topic differ from those of the quiet run.

    A record with other bytes than it should have counts as `changed`, and the one it should have
    been as `lost`.
    """

    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    changed: int = 0
    examples: dict[str, str] = field(default_factory=dict)
    """The first of each kind, in words."""


def compare_topic(
    quiet: TopicRecords, found: TopicRecords, order: Sequence[str], *, repeats: bool = False
) -> Difference:
    """Compare the records of one topic within the values of the fields in `order`.

    `repeats` says that records may come again by contract, as a source's do: later ones are not
    looked at.
    """
    difference = Difference()
    before, after = grouped(quiet, order), grouped(found, order)
    for group in dict.fromkeys([*before, *after]):
        wanted, given = before.get(group, []), after.get(group, [])
        if repeats:
            given = list(dict.fromkeys(given))
        _compare(group, wanted, given, difference)
    return difference


def compare_states(quiet: RunRecords, found: RunRecords, changelogs: Sequence[str]) -> list[str]:
    """Return the pages of state that are not what they are after the quiet run, in words."""
    return [
        f"{name}[{partition}] {page!r}: {_page_words(wanted, given)}"
        for name in changelogs
        for partition, page in sorted(quiet.states[name].keys() | found.states[name].keys())
        if (wanted := quiet.states[name].get((partition, page)))
        != (given := found.states[name].get((partition, page)))
    ]


def _page_words(wanted: bytes | None, given: bytes | None) -> str:
    if given is None:
        return "missing"
    return "should not be there" if wanted is None else "differs"


def grouped(records: TopicRecords, order: Sequence[str]) -> dict[Group, list[bytes]]:
    """Return the records' bodies by the values of these fields, in the order of the log."""
    columns = [records.table.column(name).to_pylist() for name in order]
    found: dict[Group, list[bytes]] = defaultdict(list)
    for group, body in zip(
        zip(*columns, strict=True) if columns else [()] * len(records.bodies),
        records.bodies,
        strict=True,
    ):
        found[group].append(body)
    return found


def _compare(
    group: Group, wanted: Sequence[bytes], given: Sequence[bytes], difference: Difference
) -> None:
    if wanted == given:
        return
    due, come = Counter(wanted), Counter(given)
    where = "/".join(map(str, group))
    for body, count in (due - come).items():
        difference.lost += count
        number = wanted.index(body) + 1
        difference.examples.setdefault("lost", f"{where}: number {number} of {len(wanted)}")
    for body, count in (come - due).items():
        if body in due:
            difference.doubled += count
            number = wanted.index(body) + 1
            difference.examples.setdefault("doubled", f"{where}: number {number} of {len(wanted)}")
        else:
            difference.changed += count
            number = given.index(body) + 1
            difference.examples.setdefault("changed", f"{where}: number {number} of {len(given)}")
    late = _steps_back(wanted, given)
    if late:
        difference.out_of_order += late
        difference.examples.setdefault("out_of_order", f"{where}: {late} of {len(given)}")


def _steps_back(wanted: Sequence[bytes], given: Sequence[bytes]) -> int:
    """Return how many records come after one that should come later; repeats are not counted."""
    places: dict[tuple[bytes, int], int] = {}
    seen: Counter[bytes] = Counter()
    for place, body in enumerate(wanted):
        places[body, seen[body]] = place
        seen[body] += 1
    come: Counter[bytes] = Counter()
    furthest = -1
    steps = 0
    for body in given:
        known = places.get((body, come[body]))
        come[body] += 1
        if known is not None:
            steps += known < furthest
            furthest = max(furthest, known)
    return steps


def compare_runs(
    quiet: RunRecords,
    found: RunRecords,
    orders: Mapping[str, Sequence[str]],
    *,
    source: str,
) -> dict[str, Difference]:
    """Return the difference of each topic that is a function of the input."""
    return {
        name: compare_topic(
            quiet.by_topic[name], found.by_topic[name], order, repeats=name == source
        )
        for name, order in orders.items()
    }
