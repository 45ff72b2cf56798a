"""Two lists of records of one key held together: equal, differing, missing, in another order."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

EXAMPLES_MAX = 5
"""Differences of a topic that are shown."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where two runs may have read other ranges of their input: at the beginning, at the end."""

    is_open_before: bool = False
    is_open_behind: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """Records of one place in the order, by their number within the key; None where none is."""

    key: str
    left: int | None
    right: int | None


@dataclass(slots=True)
class Agreement:
    """How many records of two runs are equal, are other ones, are missing, stand elsewhere.

    `outside` are records of one run alone where it may have read more of the input.
    """

    equal: int = 0
    differing: int = 0
    only_left: int = 0
    only_right: int = 0
    out_of_order: int = 0
    outside: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Say whether nothing differs."""
        return not (self.differing or self.only_left or self.only_right or self.out_of_order)

    def add(self, key: str, left: Sequence[bytes], right: Sequence[bytes], bounds: Bounds) -> None:
        """Take the records of one key, each list in the order of its log."""
        if left == right:
            self.equal += len(left)
            return
        pairs = _equal_pairs(left, right)
        anchors = _in_order(pairs)
        self.equal += len(pairs)
        self.out_of_order += len(pairs) - len(anchors)
        known_left, known_right = {i for i, _ in pairs}, {j for _, j in pairs}
        edges = [(-1, -1), *anchors, (len(left), len(right))]
        for number, (begin, end) in enumerate(pairwise(edges)):
            mine = [i for i in range(begin[0] + 1, end[0]) if i not in known_left]
            others = [j for j in range(begin[1] + 1, end[1]) if j not in known_right]
            is_first, is_last = number == 0, number == len(edges) - 2
            is_open = (is_first and bounds.is_open_before) or (is_last and bounds.is_open_behind)
            # Next to what both have: the further away, the sooner it is of another range.
            self._judge(key, mine, others, is_open=is_open, from_end=is_first and not is_last)

    def _judge(
        self, key: str, left: Sequence[int], right: Sequence[int], *, is_open: bool, from_end: bool
    ) -> None:
        both = min(len(left), len(right))
        (left, rest_left), (right, rest_right) = (
            _parted(each, both, from_end=from_end) for each in (left, right)
        )
        self.differing += both
        for pair in zip(left, right, strict=True):
            self._show(key, *pair)
        if is_open:
            self.outside += len(rest_left) + len(rest_right)
            return
        self.only_left += len(rest_left)
        self.only_right += len(rest_right)
        for row in rest_left:
            self._show(key, row, None)
        for row in rest_right:
            self._show(key, None, row)

    def _show(self, key: str, left: int | None, right: int | None) -> None:
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(Example(key, left, right))


def _parted(
    rows: Sequence[int], count: int, *, from_end: bool
) -> tuple[Sequence[int], Sequence[int]]:
    """Return so many rows, the first or the last of them, and the rest."""
    cut = len(rows) - count if from_end else count
    return (rows[cut:], rows[:cut]) if from_end else (rows[:cut], rows[cut:])


def _equal_pairs(left: Sequence[bytes], right: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return the places of equal records, the first of its kind with the first, and so on."""
    places: dict[tuple[bytes, int], int] = {}
    seen: Counter[bytes] = Counter()
    for place, body in enumerate(right):
        places[body, seen[body]] = place
        seen[body] += 1
    come: Counter[bytes] = Counter()
    found = []
    for place, body in enumerate(left):
        other = places.get((body, come[body]))
        come[body] += 1
        if other is not None:
            found.append((place, other))
    return found


def _in_order(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the most of these pairs that both lists have in one order."""
    tops: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(tops, place)
        if length == len(tops):
            tops.append(place)
            ends.append(number)
        else:
            tops[length], ends[length] = place, number
        before.append(ends[length - 1] if length else -1)
    found = []
    number = ends[-1] if ends else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]
