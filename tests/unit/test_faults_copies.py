"""What sinks hold against the topics: a row too few, one too many, a latest value that is not."""

import pyarrow as pa

from headrace.faults.copies import missing_and_doubled_rows, stale_latest
from headrace.faults.records import OFFSET, PARTITION, TopicRecords
from headrace.topology import Topic

TOPIC = Topic("domain.thing.v1", "thing.v1", key=("name",))
PLACES = [(0, 0), (0, 1), (0, 3), (1, 0)]  # offset 2 is a transaction's marker
KEYS: list[bytes | None] = [b"a", b"b", b"a", b"c"]


def records() -> TopicRecords:
    partitions, offsets = zip(*PLACES, strict=True)
    table = pa.table(
        {PARTITION: pa.array(partitions, pa.int32()), OFFSET: pa.array(offsets, pa.int64())}
    )
    return TopicRecords(TOPIC, table, KEYS, [b""] * len(PLACES))


def test_a_row_for_every_record_is_right() -> None:
    assert missing_and_doubled_rows(records(), PLACES[::-1]) == ([], [])


def test_a_missing_row_is_seen() -> None:
    assert missing_and_doubled_rows(records(), PLACES[1:]) == ([(0, 0)], [])


def test_a_doubled_row_is_seen() -> None:
    assert missing_and_doubled_rows(records(), [*PLACES, (0, 3)]) == ([], [(0, 3)])


def test_a_row_of_no_record_is_seen() -> None:
    assert missing_and_doubled_rows(records(), [*PLACES, (0, 2)]) == ([], [(0, 2)])


def test_a_row_too_few_and_one_too_many_do_not_cancel_out() -> None:
    rows = [*PLACES[1:], (0, 2)]

    assert missing_and_doubled_rows(records(), rows) == ([(0, 0)], [(0, 2)])


def test_the_last_record_of_every_key_is_right() -> None:
    assert stale_latest(records(), {b"a": (0, 3), b"b": (0, 1), b"c": (1, 0)}) == []


def test_an_older_value_is_seen() -> None:
    assert stale_latest(records(), {b"a": (0, 0), b"b": (0, 1), b"c": (1, 0)}) == [
        "a: last record (0, 3), kept (0, 0)"
    ]


def test_a_missing_and_an_invented_key_are_seen() -> None:
    assert stale_latest(records(), {b"a": (0, 3), b"b": (0, 1), b"d": (1, 0)}) == [
        "c: last record (1, 0), kept None",
        "d: last record None, kept (1, 0)",
    ]
