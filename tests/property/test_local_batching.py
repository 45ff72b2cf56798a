"""The run without Kafka does not depend on how its input is cut, nor on how far it is settled."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headrace import Step
from headrace.testing import TestDriver
from tests.local_graphs import (
    ASIDE,
    HEARD,
    LOOP,
    PROJECT,
    RAW,
    RELAYED,
    SAID,
    WORD,
    Driven,
    note_order,
    word,
)

STATES = {"a": "ACTIVE", "b": "REDUCING", "c": "HALTED"}
"""By account, so that records come back through different partitions."""

RECORDS = st.lists(
    st.tuples(
        st.integers(0, 40),  # how long after the one before, ms
        st.sampled_from([WORD, ASIDE]),
        st.sampled_from([*STATES]),
    ),
    min_size=1,
    max_size=30,
)


def run(records: list[Any], cuts: set[int], **options: Any) -> dict[Any, list[bytes | None]]:
    """Return what the loop writes; the input is settled before each of the cuts."""
    driven = Driven(LOOP, **options)
    time_ms = 0
    for number, (wait_ms, topic, account) in enumerate(records):
        if number in cuts:
            driven.graph.settle(time_ms)
        time_ms += wait_ms
        driven.write(topic, [word(f"w{number}", account, STATES[account])], [time_ms])
    driven.graph.settle()
    return driven.values


@given(RECORDS, st.sets(st.integers(0, 30)), st.sampled_from([1, 10, 100]))
def test_a_loop_writes_the_same_bytes_however_its_input_is_cut(
    records: list[Any], cuts: set[int], run_ahead_ms: int
) -> None:
    assert run(records, cuts, run_ahead_ms=run_ahead_ms) == run(
        records, set(), run_ahead_ms=run_ahead_ms
    )


@given(RECORDS, st.sets(st.integers(0, 30)))
def test_partitions_that_write_to_one_meet_in_the_order_of_time(
    records: list[Any], cuts: set[int]
) -> None:
    """However many of a batch each of them has."""

    def relayed(cuts: set[int]) -> dict[Any, list[bytes | None]]:
        driven = Driven(RELAYED)
        time_ms = 0
        for number, (wait_ms, _, account) in enumerate(records):
            time_ms += wait_ms + 1
            if number in cuts:
                driven.graph.settle(time_ms)
            driven.write(RAW, [word(f"w{number}", account, STATES[account])], [time_ms])
        driven.graph.settle()
        return driven.values

    assert relayed(cuts) == relayed(set())


@given(RECORDS)
def test_without_a_run_ahead_each_record_is_answered_before_the_next(records: list[Any]) -> None:
    apart = [(wait_ms + 1, topic, account) for wait_ms, topic, account in records]
    driven = Driven(LOOP)
    time_ms = 0
    for number, (wait_ms, topic, account) in enumerate(apart):
        time_ms += wait_ms
        driven.write(topic, [word(f"w{number}", account, STATES[account])], [time_ms])
        driven.graph.settle()

    assert run(apart, set(), run_ahead_ms=1) == driven.values


ACTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["commit", "leave"]), st.lists(st.sampled_from([*STATES]))),
        st.just(("crash", [])),
    ),
    max_size=12,
)


@given(ACTS)
def test_crashes_lose_and_double_nothing(acts: list[tuple[str, list[str]]]) -> None:
    step = Step("note", note_order, reads=(WORD,), writes=(SAID,), table=HEARD)
    whole, broken = (TestDriver(step, project=PROJECT) for _ in range(2))
    for number, (act, accounts) in enumerate(acts):
        if act == "crash":
            broken.crash()
            broken.restore()
            continue
        rows = [word(f"w{number}-{n}", name, STATES[name]) for n, name in enumerate(accounts)]
        whole.pipe(WORD, rows)
        broken.pipe(WORD, rows, commit=act == "commit")
    broken.commit()

    assert values(broken) == values(whole)
    assert broken.table("note") == whole.table("note")


def values(driver: TestDriver) -> dict[int, list[bytes | None]]:
    """Return what was said, by partition."""
    found: dict[int, list[bytes | None]] = {}
    for part in driver.read_parts(SAID):
        found.setdefault(part.partition, []).extend(part.values)
    return found
