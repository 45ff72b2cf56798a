"""What repeated figures come to: their median and spread, and whether a target is met."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, the least and the most of them."""

    median: float
    least: float
    most: float

    def text(self, digits: int = 2) -> str:
        """Return median and range as cells of a table."""
        low, high = f"{self.least:,.{digits}f}", f"{self.most:,.{digits}f}"
        return f"{self.median:,.{digits}f} | {low} to {high}"


def spread(values: Sequence[float]) -> Spread:
    """Return what one figure a round comes to.

    Raises:  ValueError if there is none.
    """
    if not values:
        raise ValueError("expected a figure a round, found none")
    return Spread(median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return ours over theirs, round by round: what the machine did to one it did to both."""
    return spread([mine / other for mine, other in zip(ours, theirs, strict=True)])


def in_turn(names: Sequence[str], number: int) -> list[str]:
    """Return the order of a round: each begins one later, so that none always follows the same."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on a ratio: the least it may be, or the most."""

    what: str
    bound: float
    is_most: bool

    def line(self, found: Spread) -> str:
        """Return the target's line of a table, judged by the median."""
        missed_by = found.median / self.bound - 1 if self.is_most else 1 - found.median / self.bound
        word = "met" if missed_by <= 0 else f"**missed by {missed_by:.0%}**"
        bound = f"at {'most' if self.is_most else 'least'} {self.bound:g}"
        return f"| {self.what} | {bound} | {found.text()} | {word} |"


def verdict_lines(verdicts: Sequence[tuple[Target, Spread]]) -> list[str]:
    """Return the table of targets, met and missed."""
    head = ["| target | bound | found | range | |", "|---|---|---|---|---|"]
    return [*head, *(target.line(found) for target, found in verdicts)]
