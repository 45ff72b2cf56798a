"""What several partitions wrote becomes the same bytes together as by itself."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import Topic
from headrace.avro.schema import AvroSchema, load_schema
from headrace.batch import Headers
from headrace.errors import InvariantError
from headrace.runtime.draft import Draft, DraftColumn, merged
from headrace.runtime.emission import Emission, TopicCodec
from tests.repository_files import ROOT

SCHEMAS = ROOT / "benchmarks/projects/relay/schemas/avro"


def schema() -> AvroSchema:
    return load_schema(SCHEMAS, "hop.v1")


CODECS = [TopicCodec(Topic(f"hop{n}.v1", "hop.v1", key=("key",)), schema(), 7) for n in range(2)]
NUMBERS = st.lists(st.integers(0, 99), min_size=1, max_size=5)


def draft(numbers: list[int], topic: int = 0, headers: list[Headers] | None = None) -> Draft:
    records = pa.record_batch(
        {
            "key": [f"k{number}" for number in numbers],
            "sent_time_ns": numbers,
            "price_ticks": numbers,
            "size_lots": numbers,
        }
    )
    return Draft("step", records, CODECS[topic], headers, None)


def rows(emission: Emission) -> list[tuple[bytes | None, bytes | None, int]]:
    columns = (emission.values, emission.keys, emission.partitions.tolist())
    return list(zip(*columns, strict=True))


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 1)), min_size=1, max_size=6))
def test_together_they_are_what_each_is_by_itself(written: list[tuple[list[int], int]]) -> None:
    drafts = [draft(numbers, topic) for numbers, topic in written]

    together = merged(drafts)

    assert len(together) == len({topic for _, topic in written})
    for one in together:
        alone = [row for each in drafts if each.topic == one.topic for row in rows(each.emission)]
        assert rows(one.emission) == alone


def test_headers_stay_with_their_records() -> None:
    headers: list[Headers] = [[("trace", b"1")], []]

    (one,) = merged([draft([1]), draft([2, 3], headers=headers)])

    assert [list(own) for own in one.emission.headers or ()] == [[], [("trace", b"1")], []]


def test_columns_of_other_types_stay_by_themselves() -> None:
    other = draft([2])
    narrow = other.records.set_column(2, "price_ticks", pa.array([2], pa.int32()))

    first, second = merged([draft([1]), Draft("step", narrow, CODECS[0], None, None)])

    assert len(first.emission.values) == 1
    with pytest.raises(InvariantError, match="price_ticks"):
        _ = second.emission


def test_a_column_of_a_draft_is_read_like_any_other() -> None:
    one = draft([1, 2, 3])
    values = DraftColumn(one, "values")

    assert len(values) == 3
    assert list(values) == list(one.emission.values)
    assert values[2] == one.emission.values[2]
    assert list(values[1:]) == list(one.emission.values)[1:]
