"""The test driver: what is piped in, what is read, what counts after a crash."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headrace import Batch, ObjectTable, Output, RowTable, Step, StructCodec, Topic
from headrace.errors import FeedError, UsageError
from headrace.state.tables import ObjectState, RowState
from headrace.testing import TestDriver
from schemas import topics
from tests.local_graphs import ASIDE, HEARD, NOTE, PROJECT, ROOT, SAID, WORD, say_back, word
from tests.trading_batches import START_NS
from tests.trading_batches import quote as trading_quote

TALLY = RowTable("tally.rows_by_account.v1", np.dtype([("rows", np.int64)]))


def quote(sequence: int, time_ns: int) -> dict[str, Any]:
    """Return a whole record of a quote."""
    return {**trading_quote(sequence, time_ns), "source_sequence": sequence}


def tally(batch: Batch, state: RowState) -> Output:
    """Count records by account."""
    rows = state.index_of(batch.records.column("account").to_pylist())
    np.add.at(state.rows["rows"], rows, 1)
    return Output(counts={"seen": len(batch)})


def driver_of(step: Step = NOTE, **options: object) -> TestDriver:
    return TestDriver(step, project=PROJECT, **options)  # type: ignore[arg-type]  # as they come


def reasons(driver: TestDriver) -> list[str]:
    return [text.split()[0] for text in driver.read(SAID).column("reason").to_pylist()]


def test_rows_frames_and_columns_are_the_same_records() -> None:
    rows = [word("x"), word("y", "b")]
    read = []
    for given in (
        rows,
        pd.DataFrame(rows),
        pa.RecordBatch.from_pylist(rows),
        pa.Table.from_pylist(rows),
    ):
        driver = driver_of()
        driver.pipe(WORD, given)
        read.append(driver.read(SAID).to_pylist())

    assert read[0]
    assert all(found == read[0] for found in read)


def test_no_rows_are_no_records() -> None:
    driver = driver_of()

    driver.pipe(WORD, [])

    assert driver.read(SAID).num_rows == 0


def test_a_field_left_out_takes_its_default() -> None:
    driver = TestDriver("trading", project=ROOT, keep=[topics.QUOTE.name])
    given = {name: value for name, value in quote(1, START_NS).items() if name != "update_id"}

    driver.pipe(topics.QUOTE, given)

    assert driver.read(topics.QUOTE).column("update_id").to_pylist() == [None]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [{"account": "a"}],
            "field state: expected a value, found none; the schema has no default",
        ),
        ([word("x") | {"colour": "red"}], "expected fields of account.*found colour"),
        ([word("x") | {"event_time_ns": "now"}], "field event_time_ns: expected int64"),
        ([word("x"), word("x") | {"reason": None}], "field reason: .* found none in row 1"),
        (["word"], "expected rows of values by field name"),
        (7, "expected rows by field name.*found int"),
    ],
)
def test_rows_that_are_no_records_are_refused_in_words(rows: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        driver_of().pipe(WORD, rows)


def test_reading_gives_what_came_since_the_last_read() -> None:
    driver = driver_of()
    driver.pipe(WORD, word("one"))
    first = reasons(driver)
    driver.pipe(WORD, [word("two"), word("three")])

    assert (first, reasons(driver), reasons(driver)) == (["one"], ["two", "three"], [])


def test_places_tell_where_and_when_a_record_lies() -> None:
    driver = driver_of(start_ns=5_000_000)
    driver.pipe(WORD, [word("one"), word("two")])
    driver.pipe(WORD, word("three"), time_ns=9_000_000)

    read = driver.read(WORD, places=True)

    assert read.column("kafka_offset").to_pylist() == [0, 1, 2]
    assert read.column("kafka_time_ms").to_pylist() == [5, 5, 9]
    assert driver.now_ns == 9_000_000


def test_dead_letters_are_read_with_cause_and_bytes() -> None:
    driver = driver_of()

    driver.pipe(WORD, [word("fine"), word("!")])
    driver.pipe_bytes(WORD, [b"nonsense"], key=b"a")

    letters = driver.dead(WORD)
    assert letters.column("cause").to_pylist() == ["shouted", "not_confluent_framed"]
    assert letters.column("kafka_offset").to_pylist() == [1, 2]
    assert letters.column("value").to_pylist()[1] == b"nonsense"
    assert driver.counts["note.dead_not_confluent_framed"] == 1
    assert driver.dead(WORD).num_rows == 0


def test_a_table_is_shown_by_key_over_all_partitions() -> None:
    accounts = [f"account-{n}" for n in range(12)]
    driver = driver_of(Step("tally", tally, reads=(WORD,), table=TALLY))

    driver.pipe(WORD, [word("x", name) for name in [*accounts, "account-3"]])

    table = driver.table("tally")
    assert {key: int(row["rows"]) for key, row in table.items()} == {
        name: 2 if name == "account-3" else 1 for name in accounts
    }
    assert driver.counts["tally.seen"] == 13


def test_a_crash_keeps_what_was_committed_and_reads_the_rest_again() -> None:
    driver = driver_of()
    driver.pipe(WORD, word("one"))
    driver.pipe(WORD, word("two"), commit=False)
    driver.pipe(ASIDE, word("three"), commit=False)
    unseen = driver.table("note")["a"] == ["one", "two", "three"]

    driver.crash()
    driver.restore()

    assert unseen
    assert driver.table("note") == {"a": ["one", "two", "three"]}
    assert reasons(driver) == ["one", "two", "three"]
    assert driver.records[WORD.name] == 2


def test_what_is_not_committed_is_not_read() -> None:
    driver = driver_of()
    driver.pipe(WORD, word("one"), commit=False)
    before = reasons(driver)
    driver.commit()

    assert (before, reasons(driver)) == ([], ["one"])


def test_what_comes_while_the_process_is_down_is_read_after_it() -> None:
    driver = driver_of()
    driver.crash()
    driver.pipe(WORD, word("meanwhile"))
    with pytest.raises(UsageError, match=r"expected restore\(\) first"):
        driver.advance(1)

    driver.restore()

    assert reasons(driver) == ["meanwhile"]


def test_a_codec_that_forgets_is_found_by_a_crash() -> None:
    class Forgetful(StructCodec[list[str]]):
        def dump(self, state: list[str]) -> dict[int, bytes | None]:
            return dict(super().dump(state[:1]))

    table = ObjectTable(HEARD.name, Forgetful(list[str], lambda _: []))
    driver = driver_of(Step("note", NOTE.agent, reads=(WORD,), writes=(SAID,), table=table))
    driver.pipe(WORD, [word("one"), word("two")])

    driver.crash()
    driver.restore()

    assert driver.table("note") == {"a": ["one"]}


def test_a_merge_gives_a_lost_record_up_when_time_has_passed() -> None:
    driver = TestDriver("trading", project=ROOT, keep=[topics.FEATURE.name])
    driver.pipe(topics.QUOTE, [quote(1, START_NS), quote(3, START_NS)])
    driver.advance(1)
    waiting = driver.counts["features.merge_gap_skipped"]

    driver.advance(30)

    assert (waiting, driver.counts["features.merge_gap_skipped"]) == (0, 1)


def test_what_a_merge_holds_back_is_read_again_after_a_crash() -> None:
    driver = TestDriver("trading", project=ROOT, keep=[topics.FEATURE.name])
    driver.pipe(topics.QUOTE, [quote(1, START_NS), quote(3, START_NS)])
    driver.crash()
    driver.restore()

    driver.pipe(topics.QUOTE, quote(2, START_NS))

    assert driver.counts["features.merge_duplicate"] == 0
    windows = driver.table("features")
    assert len(windows) == 1
    driver.advance(30)
    assert driver.counts["features.merge_gap_skipped"] == 0


def test_unread_records_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.limits.LOCAL_KEPT_RECORDS_MAX", 2)
    driver = driver_of(keep=[WORD.name])
    driver.pipe(WORD, [word("one"), word("two")])

    with pytest.raises(UsageError, match="read the topic more often"):
        driver.pipe(WORD, word("three"))


def test_topics_that_are_not_there_or_not_kept_are_named() -> None:
    driver = driver_of(keep=[SAID.name])

    with pytest.raises(UsageError, match="has no topic 'nothing'"):
        driver.pipe("nothing", word("x"))
    with pytest.raises(UsageError, match=r"expected one that is kept, which are test\.said\.v1"):
        driver.read(WORD)
    with pytest.raises(UsageError, match="expected one with a table"):
        driver_of(Step("back", say_back, reads=(SAID,), writes=(WORD,))).table("back")
    with pytest.raises(FeedError, match="a single step has none"):
        driver.feed("sim")


def test_state_is_the_same_whether_it_was_restored_or_not() -> None:
    """The trading graph, in the middle of whose market the process dies."""
    feed = "sim:2?events=1500&seed=3&start=1700000000000000000"
    whole, broken = (TestDriver("trading", project=ROOT) for _ in range(2))

    whole.feed(feed)
    broken.feed(feed)
    broken.crash()
    broken.restore()
    more = quote(10**9, START_NS)
    for driver in (whole, broken):
        driver.pipe(topics.QUOTE, more)

    for topic in whole.topology.topics:
        pairs = zip(whole.read_parts(topic), broken.read_parts(topic), strict=True)
        assert all(list(a.values) == list(b.values) for a, b in pairs)
    assert whole.counts == broken.counts
    assert isinstance(whole.table("venue"), dict)


def test_a_feed_of_several_instruments_is_the_same_bytes_however_it_is_cut() -> None:
    feed = "sim:4?events=2000&seed=5&start=1700000000000000000"
    whole, cut = (TestDriver("trading", project=ROOT) for _ in range(2))

    whole.feed(feed)
    cut.feed(feed, batch_records=97)

    for topic in whole.topology.topics:
        assert values_of(cut, topic) == values_of(whole, topic), topic.name
    assert whole.records[topics.ORDER_EVENT.name] > 100


def values_of(driver: TestDriver, topic: Topic) -> dict[int, list[bytes | None]]:
    """Return the values of a topic by partition."""
    found: dict[int, list[bytes | None]] = {}
    for part in driver.read_parts(topic):
        found.setdefault(part.partition, []).extend(part.values)
    return found


def test_a_state_is_an_object_or_a_row() -> None:
    """What `table` gives is what the agent has, not a copy: a test sees it change."""
    driver = driver_of()
    driver.pipe(WORD, word("one"))
    (heard,) = driver.table("note").values()

    driver.pipe(WORD, word("two"))

    assert heard == ["one", "two"]
    (task,) = driver._graph.tasks_of("note")
    assert isinstance(task.chain.tables[HEARD.name], ObjectState)
