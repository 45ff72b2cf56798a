"""Runs held against each other: every kind of difference is seen, and equal runs have none."""

import pyarrow as pa
import pytest

from headrace.faults.compare import Difference, compare_runs, compare_topic
from headrace.faults.records import OFFSET, PARTITION, RunRecords, TopicRecords
from headrace.topology import Topic

TOPIC = Topic("domain.thing.v1", "thing.v1", key=("name",))
A = [("a", b"1"), ("a", b"2"), ("a", b"3"), ("a", b"4")]
B = [("b", b"1"), ("b", b"2")]


def records(*rows: tuple[str, bytes]) -> TopicRecords:
    names = [name for name, _ in rows]
    table = pa.table(
        {
            "name": pa.array(names, pa.string()),
            PARTITION: pa.array([0] * len(rows), pa.int32()),
            OFFSET: pa.array(range(len(rows)), pa.int64()),
        }
    )
    keys: list[bytes | None] = [name.encode() for name in names]
    return TopicRecords(TOPIC, table, keys, [body for _, body in rows])


def difference(*rows: tuple[str, bytes], repeats: bool = False) -> Difference:
    return compare_topic(records(*A, *B), records(*rows), ("name",), repeats=repeats)


def counts(found: Difference) -> tuple[int, int, int, int]:
    return found.lost, found.doubled, found.out_of_order, found.changed


def test_equal_runs_differ_in_nothing() -> None:
    assert counts(difference(*A, *B)) == (0, 0, 0, 0)


def test_keys_may_interleave_in_any_way() -> None:
    assert counts(difference(B[0], A[0], A[1], B[1], A[2], A[3])) == (0, 0, 0, 0)


def test_a_lost_record_is_seen() -> None:
    found = difference(A[0], A[2], A[3], *B)

    assert counts(found) == (1, 0, 0, 0)
    assert found.examples == {"lost": "a: number 2 of 4"}


def test_a_lost_key_is_seen() -> None:
    assert counts(difference(*A)) == (2, 0, 0, 0)


@pytest.mark.parametrize("place", range(1, 7))
def test_a_record_that_comes_twice_is_seen_wherever_it_comes(place: int) -> None:
    rows = [*A, *B]

    found = difference(*rows[:place], A[0], *rows[place:])

    assert counts(found)[:2] == (0, 1)
    assert found.changed == 0


def test_records_that_have_changed_places_are_seen() -> None:
    assert counts(difference(A[1], A[0], A[2], A[3], *B)) == (0, 0, 1, 0)


def test_a_record_behind_three_it_should_precede_is_one_step_back() -> None:
    assert counts(difference(A[1], A[2], A[3], A[0], *B)) == (0, 0, 1, 0)


def test_a_changed_record_is_seen_and_the_right_one_is_missed() -> None:
    assert counts(difference(A[0], A[1], A[2], ("a", b"other"), *B)) == (1, 0, 0, 1)


def test_a_record_under_the_wrong_key_is_seen() -> None:
    found = difference(*A, B[0], ("a", b"2"))

    assert (found.lost, found.doubled) == (1, 1)


def test_equal_bytes_that_belong_there_twice_are_not_doubled() -> None:
    twice = records(("a", b"1"), ("a", b"2"), ("a", b"1"))

    assert counts(compare_topic(twice, twice, ("name",))) == (0, 0, 0, 0)
    once = records(("a", b"1"), ("a", b"2"))
    assert counts(compare_topic(twice, once, ("name",))) == (1, 0, 0, 0)


def test_a_source_may_repeat_itself_but_not_lose() -> None:
    repeated = [A[0], A[1], A[0], A[1], A[2], A[3], A[0], *B]

    assert counts(difference(*repeated, repeats=True)) == (0, 0, 0, 0)
    assert counts(difference(*repeated[:-1], repeats=True)) == (1, 0, 0, 0)


def test_only_topics_that_are_a_function_of_the_input_are_compared() -> None:
    quiet = RunRecords({TOPIC.name: records(*A), "other.v1": records(*B)})
    found = RunRecords({TOPIC.name: records(*A[:3]), "other.v1": records()})

    differences = compare_runs(quiet, found, {TOPIC.name: ("name",)}, source="source.v1")

    assert {name: counts(each) for name, each in differences.items()} == {TOPIC.name: (1, 0, 0, 0)}
