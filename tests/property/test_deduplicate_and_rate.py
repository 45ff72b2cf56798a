"""Repeats and rates are what slow references say, whatever the cut and the restarts."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.operators import Deduplicate, RateLimit, Rows, operator_table
from headrace.state.pages import PageKey
from tests.examples import examples
from tests.table_store import keep_changes

Steps = list[tuple[str, int]]
STEPS = st.lists(st.tuples(st.text("abc", max_size=2), st.integers(-12, 12)), max_size=80)


def in_time(steps: Steps) -> Steps:
    now, found = 1_000, []
    for key, step in steps:
        now += step
        found.append((key, now))
    return found


@settings(max_examples=examples(100), deadline=None)
@given(STEPS, st.integers(1, 40), st.integers(1, 20), st.data())
def test_repeats_equal_the_reference(
    steps: Steps, horizon: int, ids_max: int, data: st.DataObject
) -> None:
    records = in_time(steps)
    operator = Deduplicate(horizon, ids_max)
    known: list[tuple[str, int]] = []  # in the order they came
    kept, counts, latest = [], dict.fromkeys(("repeated", "late", "id_forgotten"), 0), -(2**62)
    for row, (key, time) in enumerate(records):
        latest = max(latest, time)
        while known and known[0][1] <= latest - horizon:
            del known[0]
        if time <= latest - horizon:
            counts["late"] += 1
        elif any(one == key and at > latest - horizon for one, at in known):
            counts["repeated"] += 1
        else:
            if len(known) == ids_max:
                del known[0]
                counts["id_forgotten"] += 1
            known.append((key, time))
            kept.append(row)

    assert told(operator, records, data) == (kept, {n: c for n, c in counts.items() if c})


@settings(max_examples=examples(100), deadline=None)
@given(STEPS, st.integers(1, 3), st.integers(1, 8), st.data())
def test_rates_equal_the_reference(
    steps: Steps, most: int, keys_max: int, data: st.DataObject
) -> None:
    records = in_time(steps)
    operator = RateLimit(most, 10, keys_max)
    held: dict[str, tuple[int, int]] = {}
    kept, counts, latest = [], dict.fromkeys(("over_limit", "late", "key_refused"), 0), 0
    for row, (key, time) in enumerate(records):
        latest = max(latest, time)
        if key not in held and len(held) == keys_max:
            held = {one: seen for one, seen in held.items() if seen[0] >= latest // 10}
        if key not in held and len(held) == keys_max:
            counts["key_refused"] += 1
            continue
        interval, passed = held.get(key, (-1, 0))
        if time // 10 < interval:
            counts["late"] += 1
            continue
        passed = passed if time // 10 == interval else 0
        held[key] = (time // 10, min(passed + 1, most))
        if passed < most:
            kept.append(row)
        else:
            counts["over_limit"] += 1

    assert told(operator, records, data) == (kept, {n: c for n, c in counts.items() if c})


def test_many_ids_outgrow_their_room_and_pages() -> None:
    """More than a page and the first capacity, with restarts: every id is new once, then known."""
    operator = Deduplicate(10**6, 10_000)
    records = [(f"id-{n % 9_000}", n) for n in range(18_000)]

    kept, counts = told(operator, records, None)

    assert kept == list(range(9_000))
    assert counts == {"repeated": 9_000}


def told(
    operator: Deduplicate | RateLimit, records: Steps, data: st.DataObject | None
) -> tuple[list[int], dict[str, int]]:
    """Return the rows that pass and the counts, in batches of any cut, with restarts."""
    borders: Sequence[int] = range(0, len(records), 1_000)
    restarts: Callable[[], bool] = lambda: True  # noqa: E731 (the other is drawn)
    if data is not None:
        borders = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=6)))
        restarts = lambda: bool(data.draw(st.booleans()))  # noqa: E731
    table = operator_table("test.noun_by_key.v1", {"one": operator})
    state: Any = table.open()
    store: dict[PageKey, bytes] = {}
    kept: list[int] = []
    counts: dict[str, int] = {}
    for first, end in pairwise([0, *borders, len(records)]):
        keys = pa.array([key for key, _ in records[first:end]], pa.string())
        times = np.array([time for _, time in records[first:end]], np.int64)
        found = operator.add(state.edit("one"), Rows(keys, times))
        kept += (found.rows + first).tolist()
        for name, count in found.left_out.counts.items():
            counts[name] = counts.get(name, 0) + count
        keep_changes(store, state)
        if restarts():
            state = table.open()
            state.restore(store)
    return kept, counts
