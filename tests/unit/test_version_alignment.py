"""Records of two versions held together: which are equal, others, missing, outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.versions.alignment import EXAMPLES_MAX, Agreement, Bounds, Example
from headrace.versions.ranges import Ranges, bounds_of

CLOSED = Bounds()
OPEN = Bounds(is_open_before=True, is_open_behind=True)


def agreement(left: str, right: str, bounds: Bounds = CLOSED) -> Agreement:
    found = Agreement()
    found.add("k", [c.encode() for c in left], [c.encode() for c in right], bounds)
    return found


def counts(found: Agreement) -> tuple[int, int, int, int, int, int]:
    """Return equal, differing, only left, only right, out of order, outside."""
    alone = found.only_left, found.only_right
    return (found.equal, found.differing, *alone, found.out_of_order, found.outside)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("abc", "abc", (3, 0, 0, 0, 0, 0)),
        ("abc", "axc", (2, 1, 0, 0, 0, 0)),
        ("abc", "ac", (2, 0, 1, 0, 0, 0)),
        ("ac", "abc", (2, 0, 0, 1, 0, 0)),
        ("abc", "bca", (3, 0, 0, 0, 1, 0)),
        ("aab", "aaab", (3, 0, 0, 1, 0, 0)),
        ("abc", "", (0, 0, 3, 0, 0, 0)),
        ("", "abc", (0, 0, 0, 3, 0, 0)),
        ("abc", "xyz", (0, 3, 0, 0, 0, 0)),
        ("abcdef", "abXdYf", (4, 2, 0, 0, 0, 0)),
    ],
)
def test_every_record_of_one_range_counts(left: str, right: str, expected: tuple[int, ...]) -> None:
    assert counts(agreement(left, right)) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("abcdef", "cdef", (4, 0, 0, 0, 0, 2)),
        ("abcdef", "abcd", (4, 0, 0, 0, 0, 2)),
        ("abcdef", "cXe", (2, 1, 0, 0, 0, 3)),
        ("abcdef", "bdf", (3, 0, 2, 0, 0, 1)),
        ("abc", "aX", (1, 1, 0, 0, 0, 1)),
    ],
)
def test_what_lies_before_or_behind_a_narrower_range_is_outside(
    left: str, right: str, expected: tuple[int, ...]
) -> None:
    assert counts(agreement(left, right, OPEN)) == expected


def test_first_differences_are_told_by_their_places() -> None:
    found = agreement("abcd", "aXd")

    assert found.examples == [Example("k", 1, 1), Example("k", 2, None)]
    assert not found.is_same


def test_before_the_first_equal_record_those_next_to_it_are_held_together() -> None:
    found = agreement("abcd", "Xd", Bounds(is_open_before=True))

    assert found.examples == [Example("k", 2, 0)]
    assert found.outside == 2


def test_no_more_differences_are_kept_than_are_shown() -> None:
    found = agreement("a" * 100, "b" * 100)

    assert (found.differing, len(found.examples)) == (100, EXAMPLES_MAX)


RECORDS = st.text("abcd", max_size=12)


@given(RECORDS, RECORDS, st.booleans(), st.booleans())
def test_each_record_is_counted_once(left: str, right: str, before: bool, behind: bool) -> None:
    found = agreement(left, right, Bounds(before, behind))

    alone = found.only_left + found.only_right + found.outside
    assert 2 * (found.equal + found.differing) + alone == len(left) + len(right)
    assert found.is_same == (left == right) or found.outside


@given(RECORDS, RECORDS)
def test_it_is_the_same_from_the_other_side(left: str, right: str) -> None:
    one, other = agreement(left, right), agreement(right, left)

    assert one.equal == other.equal
    assert one.out_of_order == other.out_of_order


def ranges(begin: int | None, end: int, *, is_through: bool = True) -> Ranges:
    return Ranges({} if begin is None else {("t", 0): begin}, {("t", 0): end}, is_through)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (ranges(0, 9), ranges(0, 9), Bounds()),
        (ranges(0, 9), ranges(4, 9), Bounds(is_open_before=True)),
        (ranges(0, 9), ranges(None, 9), Bounds(is_open_before=True)),
        (ranges(0, 9), ranges(0, 7), Bounds(is_open_behind=True)),
        (ranges(0, 9), ranges(0, 9, is_through=False), Bounds(is_open_behind=True)),
        (Ranges({}, {}, is_through=True), ranges(0, 9), OPEN),
    ],
)
def test_ranges_that_may_differ_are_open_there(
    left: Ranges, right: Ranges, expected: Bounds
) -> None:
    assert bounds_of((left, right), (left, right)) == expected


def test_range_that_grows_while_it_is_read_is_open_behind() -> None:
    before, after = (ranges(0, 9), ranges(0, 9)), (ranges(0, 12), ranges(0, 12))

    assert bounds_of(before, after) == Bounds(is_open_behind=True)
