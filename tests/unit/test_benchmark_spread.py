"""What a benchmark's rounds come to, and when a target is met."""

import pytest

from benchmarks.spread import Spread, Target, in_turn, ratios, spread


def test_spread_is_median_least_and_most() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_no_rounds_have_no_spread() -> None:
    with pytest.raises(ValueError, match="a figure a round"):
        spread([])


def test_ratio_is_taken_within_a_round() -> None:
    """A round in which the machine was busy slows both, and counts as any other."""
    assert ratios([10.0, 1.0, 8.0], [5.0, 0.5, 2.0]) == Spread(2.0, 2.0, 4.0)


def test_every_round_begins_with_another() -> None:
    rounds = [in_turn(["a", "b", "c"], number) for number in range(4)]

    assert rounds == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


@pytest.mark.parametrize(
    ("bound", "is_most", "word"),
    [(2.0, False, "met"), (2.5, False, "missed by 20%"), (2.0, True, "met"),
     (1.6, True, "missed by 25%")],
)  # fmt: skip
def test_target_is_judged_by_the_median(bound: float, is_most: bool, word: str) -> None:
    line = Target("this", bound, is_most=is_most).line(Spread(2.0, 1.0, 3.0))

    assert word in line
