"""The run without Kafka: who reads what is written, when, in which order."""

from dataclasses import replace

import pytest

from headrace import Step, Topic
from headrace.avro.wire import encode
from headrace.errors import InvariantError, TopologyError
from headrace.kafka.partitioner import partition_of
from headrace.local.loading import load_codecs, same_id, steps_behind
from headrace.local.timing import reads_itself, timed_runs
from headrace.runtime.chain import fused
from tests.local_graphs import (
    ASIDE,
    BACK,
    LOOP,
    NOTE,
    PROJECT,
    SAID,
    WORD,
    Driven,
    note_order,
    say_again,
    say_back,
    word,
)
from topologies.trading import TOPOLOGY as TRADING

ONE_INPUT = replace(NOTE, reads=(WORD,))


def test_inputs_of_a_step_without_merge_are_seen_in_the_order_of_time() -> None:
    driven = Driven([NOTE])

    driven.write(WORD, [word("first"), word("third")], [1, 5])
    driven.write(ASIDE, [word("second")], [3])
    driven.graph.settle()

    assert driven.reasons(SAID) == ["first", "second", "third"]


def test_inputs_of_one_millisecond_are_seen_in_the_order_the_step_reads_them() -> None:
    driven = Driven([NOTE])

    driven.write(ASIDE, [word("later")], [7])
    driven.write(WORD, [word("sooner")], [7])
    driven.graph.settle()

    assert driven.reasons(SAID) == ["sooner", "later"]


def test_nothing_is_led_past_the_time_up_to_which_all_is_known() -> None:
    driven = Driven([NOTE], run_ahead_ms=1)

    driven.write(WORD, [word("known"), word("open")], [1, 5])
    driven.graph.settle(5)

    assert driven.reasons(SAID) == ["known"]
    assert driven.graph.pending() == 1


def test_a_log_is_read_in_its_order_even_if_its_times_run_backwards() -> None:
    driven = Driven([NOTE])

    driven.write(WORD, [word("a"), word("b"), word("c")], [9, 2, 9])
    driven.write(ASIDE, [word("aside")], [5])
    driven.graph.settle()

    assert driven.reasons(SAID) == ["aside", "a", "b", "c"]


def test_a_loop_goes_round_before_what_comes_later() -> None:
    driven = Driven(LOOP, run_ahead_ms=1)

    driven.write(WORD, [word("one"), word("two")], [1, 2])
    driven.graph.settle()

    heard = next(driven.graph.tasks_of("note")).chain.tables[LOOP[0].table.name].read("a")
    assert [text.split()[:2] for text in heard] == [
        ["one"],
        ["back", "one"],
        ["two"],
        ["back", "two"],
    ]


def test_a_loop_that_never_rests_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.limits.LOCAL_CALLS_MAX_AT_ONCE", 50)
    driven = Driven([Step("again", say_again, reads=(BACK,), writes=(BACK,))])
    driven.write(BACK, [word("x")], [1])

    with pytest.raises(InvariantError, match="steps again: expected a loop that comes to rest"):
        driven.graph.settle()


def test_what_would_wait_too_long_is_processed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind one damaged clock: the time of all that follows never comes to its end."""
    monkeypatch.setattr("headrace.limits.LOCAL_PENDING_RECORDS_MAX", 3)
    driven = Driven([NOTE])

    driven.write(WORD, [word(str(n)) for n in range(5)], [7] * 5)
    driven.graph.settle(7)

    assert driven.reasons(SAID) == ["0", "1", "2", "3", "4"]


def test_records_go_to_the_partition_of_their_key_and_keep_their_order() -> None:
    driven = Driven([ONE_INPUT])
    accounts = [f"account-{n % 5}" for n in range(40)]

    driven.write(
        WORD, [word(f"{n}", name) for n, name in enumerate(accounts)], list(range(len(accounts)))
    )
    driven.graph.settle()

    for part in driven.parts:
        if part.topic == WORD.name:
            assert {partition_of(key or b"", WORD.partitions) for key in part.keys} == {
                part.partition
            }
            assert part.offsets.tolist() == list(range(len(part)))
    for name in set(accounts):
        heard = [
            int(r["reason"].split()[0]) for r in driven.rows[SAID.name] if r["account"] == name
        ]
        assert heard == [n for n, account in enumerate(accounts) if account == name]


def test_values_are_the_bytes_that_live_writes() -> None:
    driven = Driven([ONE_INPUT])

    driven.write(WORD, [word("x")], [1])
    driven.graph.settle()

    codec = load_codecs(PROJECT.schemas, [SAID])[SAID.name]
    (part,) = (part for part in driven.parts if part.topic == SAID.name)
    assert list(part.values) == list(
        encode(part.records, codec.schema, same_id(SAID, codec.schema))
    )
    assert part.timestamps_ms.tolist() == [1]


def test_a_record_that_is_none_is_a_dead_letter_of_each_run_that_reads_it() -> None:
    dead = []
    driven = Driven([NOTE])
    driven.graph.watch.dead = dead.append

    driven.write(WORD, [word("!"), word("fine")], [1, 1])
    driven.graph.settle()

    assert [(letter.step, letter.topic, letter.offset, letter.cause) for letter in dead] == [
        ("note", WORD.name, 0, "shouted")
    ]
    assert driven.reasons(SAID) == ["fine"]
    assert driven.graph.work["note"].dead_letters == 1


def test_a_topic_that_nobody_reads_or_watches_is_only_counted() -> None:
    driven = Driven([ONE_INPUT])
    driven.graph.watch.parts = {}

    driven.write(WORD, [word("x"), word("y")], [1, 1])
    driven.graph.settle()

    assert driven.graph.records[SAID.name] == 2
    assert not driven.parts


def test_runs_are_led_through_time_if_they_loop_or_see_no_one_order() -> None:
    runs = fused(TRADING.steps)

    timed = {
        "+".join(step.name for step in run): is_so
        for run, is_so in zip(runs, timed_runs(runs), strict=True)
    }

    assert timed == {
        "ingest": False,
        "features+inference+decision": False,
        "risk+execution": True,
        "venue": True,
    }
    assert [reads_itself(run) for run in runs] == [False, False, True, False]


def test_steps_behind_a_topic_are_all_that_decide_it() -> None:
    names = lambda topic: [step.name for step in steps_behind(TRADING, [topic])]  # noqa: E731

    assert names("feature.vector.v1") == ["ingest", "features"]
    assert names("order.approved.v1") == [step.name for step in TRADING.steps]
    with pytest.raises(TopologyError, match=r"expected a step that writes market\.frame\.v1"):
        steps_behind(TRADING, ["market.frame.v1"])


def test_chains_that_are_not_led_through_time_run_in_flow_order() -> None:
    """A step that stands before the one it reads from still gets everything."""
    late = Topic("test.late.v1", WORD.schema, key=("account",))
    steps = [
        Step("note", note_order, reads=(BACK,), writes=(SAID,), table=NOTE.table),
        Step("back", say_back, reads=(late,), writes=(BACK,)),
    ]
    driven = Driven(steps, fuse=False)

    driven.write(late, [word("x")], [1])
    driven.graph.settle()

    assert driven.graph.work["note"].records_in == 1
