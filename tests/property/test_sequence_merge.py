"""However two inputs arrive, a merge hands their records on in the order they were counted."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import limits
from headrace.batch import Batch, Part
from headrace.runtime.merge import ReadOut, SequenceMerge, merge_table
from headrace.runtime.parts import empty_part
from headrace.state.tables import RowState

SCHEMA = pa.schema(
    [("stream", pa.string()), ("sequence", pa.int64()), ("receive_time_ns", pa.int64())]
)
TOPICS = ("left", "right")
LEFT, BOTH = frozenset({"left"}), frozenset(TOPICS)

Row = tuple[str, int]
"""A stream and a sequence in it."""


def part(topic: str, rows: list[Row], first_offset: int) -> Part:
    records = pa.RecordBatch.from_pylist(
        [{"stream": s, "sequence": n, "receive_time_ns": n} for s, n in rows], schema=SCHEMA
    )
    count = len(rows)
    offsets = np.arange(first_offset, first_offset + count)
    return Part(
        topic, 0, records, [b""] * count, [None] * count, offsets, np.zeros(count, np.int64)
    )


def new_merge(state: RowState | None = None) -> SequenceMerge:
    empty = {topic: empty_part(topic, 0, SCHEMA) for topic in TOPICS}
    held = merge_table("test").open() if state is None else state
    return SequenceMerge(empty, ["stream"], held)


def rows_of(batch: Batch | None) -> list[Row]:
    if batch is None:
        return []
    lists = [p.records.to_pylist() for p in batch.parts]
    picked = [
        lists[p][r] for p, r in zip(batch.order_parts, batch.order_rows.tolist(), strict=True)
    ]
    return [(row["stream"], row["sequence"]) for row in picked]


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[str, list[Row]]]:
    """Return deals of three streams to two topics, cut into batches that arrive in any order."""
    logs: dict[str, list[Row]] = {topic: [] for topic in TOPICS}
    for stream in "abc":
        for sequence in range(1, draw(st.integers(0, 12)) + 1):
            logs[draw(st.sampled_from(TOPICS))].append((stream, sequence))
    found = []
    while any(logs.values()):
        topic = draw(st.sampled_from([t for t in TOPICS if logs[t]]))
        size = draw(st.integers(1, len(logs[topic])))
        found.append((topic, logs[topic][:size]))
        logs[topic] = logs[topic][size:]
    return found


@given(arrivals())
def test_order_is_the_streams_own_whatever_arrives_first(
    deals: list[tuple[str, list[Row]]],
) -> None:
    merge = new_merge()
    offsets = dict.fromkeys(TOPICS, 0)

    seen: list[Row] = []
    for topic, rows in deals:
        batch, counts = merge.add([part(topic, rows, offsets[topic])], 0.0)
        offsets[topic] += len(rows)
        seen += rows_of(batch)
        assert not any(counts.values())

    for stream in "abc":
        mine = [n for s, n in seen if s == stream]
        assert mine == list(range(1, len(mine) + 1))
    assert len(seen) == sum(len(rows) for _, rows in deals)
    assert not merge.held()


@given(arrivals(), st.data())
def test_records_that_come_again_are_dropped(
    deals: list[tuple[str, list[Row]]], data: st.DataObject
) -> None:
    state = merge_table("test").open()
    merge = new_merge(state)
    offsets = dict.fromkeys(TOPICS, 0)
    for topic, rows in deals:
        merge.add([part(topic, rows, offsets[topic])], 0.0)
        offsets[topic] += len(rows)
    if not deals:
        return
    topic, rows = data.draw(st.sampled_from(deals))

    batch, counts = new_merge(state).add([part(topic, rows, 0)], 0.0)

    assert batch is None
    assert counts["merge_duplicate"] == len(rows)


LATE_S = limits.MERGE_WAIT_S_MAX + 0.1


def test_a_lost_record_is_given_up_once_it_cannot_come_any_more() -> None:
    merge = new_merge()

    early, _ = merge.add([part("left", [("a", 1), ("a", 3), ("a", 4)], 0)], 0.0)
    within, _ = merge.add([], 19.0, ReadOut(19.0, BOTH))
    late, counts = merge.add([], LATE_S, ReadOut(LATE_S, BOTH))

    assert rows_of(early) == [("a", 1)]
    assert within is None
    assert rows_of(late) == [("a", 3), ("a", 4)]
    assert counts["merge_gap_skipped"] == 1


def test_a_record_that_may_still_come_is_waited_for_however_long_it_takes() -> None:
    """A commit or a frozen process took half a minute: the other topic was not read meanwhile."""
    merge = new_merge()
    merge.add([part("left", [("a", 1), ("a", 3)], 0)], 0.0)

    waiting, _ = merge.add([part("left", [("a", 4)], 2)], 31.0, ReadOut(31.0, LEFT))
    whole, counts = merge.add([part("right", [("a", 2)], 0)], 31.1, ReadOut(31.0, LEFT))

    assert waiting is None
    assert rows_of(whole) == [("a", 2), ("a", 3), ("a", 4)]
    assert not any(counts.values())


def test_what_was_known_before_the_wait_was_over_does_not_count() -> None:
    merge = new_merge()
    merge.add([part("left", [("a", 3)], 0)], 0.0)

    batch, _ = merge.add([], 60.0, ReadOut(limits.MERGE_WAIT_S_MAX - 0.1, BOTH))

    assert batch is None
    assert merge.asks(60.0, limits.MERGE_WAIT_S_MAX - 0.1)
    assert not merge.asks(60.0, LATE_S)


def test_a_topic_that_has_gone_on_need_not_be_read_to_its_end() -> None:
    merge = new_merge()
    merge.add([part("left", [("a", 1), ("a", 3)], 0), part("right", [("a", 4)], 0)], 0.0)

    batch, counts = merge.add([], LATE_S, ReadOut(LATE_S))

    assert rows_of(batch) == [("a", 3), ("a", 4)]
    assert counts["merge_gap_skipped"] == 1


def test_a_stream_is_given_up_whatever_the_others_do() -> None:
    merge = new_merge()
    merge.add([part("left", [("a", 3), ("b", 1)], 0)], 0.0)
    merge.add([part("left", [("b", 2), ("b", 4)], 2)], 10.0)

    batch, counts = merge.add([part("right", [("b", 3)], 0)], LATE_S, ReadOut(LATE_S, BOTH))

    assert sorted(rows_of(batch)) == [("a", 3), ("b", 3), ("b", 4)]
    assert counts["merge_gap_skipped"] == 2


def test_a_stream_that_got_on_waits_anew() -> None:
    merge = new_merge()
    merge.add([part("left", [("a", 2), ("a", 4)], 0)], 0.0)
    merge.add([part("right", [("a", 1)], 0)], 15.0)

    batch, _ = merge.add([], 25.0, ReadOut(25.0, BOTH))

    assert batch is None
    assert not merge.asks(25.0, 0.0)


def test_too_many_records_are_not_held_for_one_that_cannot_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MERGE_RECORDS_MAX", 2)
    merge = new_merge()
    merge.add([part("left", [("a", n) for n in range(2, 8)], 0)], 0.0)

    is_asking = merge.asks(0.1, 0.0)
    waiting, _ = merge.add([], 0.1, ReadOut(0.1, LEFT))
    batch, counts = merge.add([], 0.2, ReadOut(0.1, BOTH))

    assert is_asking
    assert waiting is None
    assert rows_of(batch) == [("a", n) for n in range(2, 8)]
    assert counts["merge_gap_skipped"] == 1


def test_held_records_keep_their_offsets() -> None:
    merge = new_merge()

    merge.add([part("left", [("a", 2), ("a", 3)], 10)], 0.0)

    assert merge.held()["left"].offsets.tolist() == [10, 11]


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_what_is_due_does_not_depend_on_what_is_held(cut: int) -> None:
    rows: list[Row] = [("a", 1), ("b", 1), ("a", 3), ("b", 3)]
    others: list[Row] = [("a", 2), ("b", 2)]
    merge = new_merge()

    seen = rows_of(merge.add([part("left", rows[:cut], 0)], 0.0)[0])
    seen += rows_of(merge.add([part("right", others, 0)], 0.0)[0])
    seen += rows_of(merge.add([part("left", rows[cut:], cut)], 0.0)[0])

    assert sorted(seen) == sorted(rows + others)
    assert [n for s, n in seen if s == "a"] == [1, 2, 3]
