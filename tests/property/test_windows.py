"""Windows say what a slow reference says, whatever the cut, the restarts and the shuffle."""

from collections.abc import Mapping

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.operators import (
    Aggregate,
    Count,
    FloatSum,
    Hopping,
    IntSum,
    Mean,
    OneValue,
    Session,
    Vwap,
    Windows,
    tumbling,
)
from tests.examples import examples
from tests.window_reference import Record, Reference, told

AGGREGATES: Mapping[str, Aggregate] = {
    "count": Count(),
    "sum": IntSum("value"),
    "mean": Mean("value"),
    "least": OneValue("value", "min"),
    "largest": OneValue("value", "max"),
    "first": OneValue("value", "first"),
    "last": OneValue("value", "last"),
    "vwap": Vwap("value", "size"),
    "weight": FloatSum("weight"),
}
KINDS = (tumbling(10), Hopping(10, 5), Hopping(10, 4), Session(6), Session(4), Session(6, 25))


@st.composite
def declarations(draw: st.DrawFn, *, early: bool = True, keys_max: int = 2) -> Windows:
    return Windows(
        draw(st.sampled_from(KINDS)),
        AGGREGATES,
        lateness_ns=draw(st.sampled_from([0, 3, 20, 20])),
        early_every_ns=draw(st.sampled_from([0, 7])) if early else 0,
        keys_max=draw(st.integers(keys_max, 4)),
    )


def values(*, least: int = 0) -> st.SearchStrategy[int]:
    # Negative prices have no volume-weighted mean here; large ones fill the limbs.
    return st.one_of(st.integers(least, 9), st.integers(least, 2**62 - 1))


@st.composite
def streams(draw: st.DrawFn) -> list[Record]:
    """Draw records that come in any order, with ties, jumps and punctuations."""
    keys, far = draw(st.sampled_from(["ab", "abcd"])), draw(st.sampled_from([8, 30]))
    steps = st.tuples(st.sampled_from(keys), st.integers(-far, far), values(), st.floats(-1, 1))
    least = draw(st.sampled_from([0, 20]))
    now, records = 1_000, []
    drawn = draw(st.lists(steps, min_size=least, max_size=60))
    for order, (key, step, value, weight) in enumerate(drawn):
        now = max(now + step, 0)
        told_only = draw(st.integers(0, 9)) == 0
        records.append(Record(key, now, order % 3, value, weight, told_only))
    # In the end all windows close, or what they hold would not be compared.
    records.append(Record("", 10**6, 0, 0, 0.0, punctuation=True))
    return records


@settings(max_examples=examples(150), deadline=None)
@given(declarations(), streams(), st.data())
def test_windows_equal_the_reference_however_the_input_is_cut(
    windows: Windows, records: list[Record], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=8)))
    restarts = data.draw(st.sets(st.integers(0, len(cuts))))
    reference = Reference(windows)
    for row, record in enumerate(records):
        reference.take(row, record)

    emitted, late, refused, weights = told(windows, records, cuts, restarts)

    assert emitted == reference.emitted
    assert late == reference.late
    assert refused == reference.refused
    assert weights == told(windows, records, [], set())[3]  # to the last bit, whatever the cut


@settings(max_examples=examples(100), deadline=None)
@given(
    declarations(early=False, keys_max=4),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 120), values()), max_size=60),
    st.integers(0, 2**32 - 1),
)
def test_a_shuffle_within_the_lateness_changes_nothing(
    windows: Windows, drawn: list[tuple[str, int, int]], seed: int
) -> None:
    in_time = sorted(drawn, key=lambda one: one[1])
    records = [Record(key, time, n, value, 0.0) for n, (key, time, value) in enumerate(in_time)]
    records.append(Record("", 1_000, 0, 0, 0.0, punctuation=True))
    delays = np.random.default_rng(seed).uniform(0, windows.lateness_ns, len(records))
    arrivals = np.array([record.time_ns for record in records]) + delays
    shuffled = [records[index] for index in np.argsort(arrivals, kind="stable")]

    emitted, late, _, _ = told(windows, shuffled, [len(records) // 2], set())

    assert not late
    assert {said[1:] for said in emitted} == {
        said[1:] for said in told(windows, records, [], set())[0]
    }
    assert len(emitted) == len({said[2:5] for said in emitted})  # each window once
