"""A model takes over at any row, however the input is cut: each prediction is the right one's."""

from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from headrace.testing import TestDriver
from headrace.topology import Proof
from tests.unit.test_contest_direction import (
    BTC,
    CHALLENGER,
    CHAMPION,
    ETH,
    PREDICTIONS,
    SHADOWS,
    vectors,
)
from topologies.trading_challenger import CONTEST, TOPOLOGY

ROWS = 24
RECORDS = vectors(ROWS, (BTC, ETH))
GRAPH = replace(TOPOLOGY, steps=(CONTEST,), controls=TOPOLOGY.controls[-1:], proof=Proof())
EPOCH = "1970-01-01T00:00:00.000000"
"""The vectors are received within its first microsecond; a word for later is of whole ones."""

cuts = st.lists(st.integers(0, ROWS), max_size=5).map(lambda found: sorted({0, ROWS, *found}))


def values(driver: TestDriver) -> dict[tuple[str, int], list[bytes | None]]:
    """Return what was written by topic and partition, in its order."""
    found: dict[tuple[str, int], list[bytes | None]] = {}
    for topic in (PREDICTIONS, SHADOWS):
        for part in driver.read_parts(topic):
            found.setdefault((topic, part.partition), []).extend(part.values)
    return found


def pipe(driver: TestDriver, records: pa.RecordBatch, borders: list[int]) -> None:
    for start, end in pairwise(borders):
        driver.pipe("feature.vector.v1", records.slice(start, end - start))


@given(swap=st.integers(0, ROWS), borders=cuts)
def test_a_swap_between_any_two_rows_gives_the_same_bytes_in_every_cut(
    swap: int, borders: list[int]
) -> None:
    cut = TestDriver(GRAPH)
    pipe(cut, RECORDS.slice(0, swap), [border for border in borders if border < swap] + [swap])
    cut.say("model", {"use": CHALLENGER})
    cut.crash()
    cut.restore()
    pipe(cut, RECORDS.slice(swap), [0, *(border - swap for border in borders if border > swap)])
    whole = TestDriver(GRAPH)
    for row in range(ROWS):
        if row == swap:
            whole.say("model", {"use": CHALLENGER})
        whole.pipe("feature.vector.v1", RECORDS.slice(row, 1))

    found = values(cut)

    assert found == values(whole)


@given(swap=st.integers(0, ROWS - 1), borders=cuts, said_at=st.integers(0, ROWS))
def test_a_swap_by_time_needs_only_be_said_before_it(
    swap: int, borders: list[int], said_at: int
) -> None:
    times = [row * 1_000 for row in range(ROWS)]
    index = RECORDS.schema.get_field_index("receive_time_ns")
    records = RECORDS.set_column(index, RECORDS.schema.field(index), pa.array(times, pa.int64()))
    options = {"use": CHALLENGER, "from": EPOCH.replace(".000000", f".{swap:06}")}
    driver = TestDriver(GRAPH)
    said_at = min(said_at, swap)
    pipe(
        driver,
        records.slice(0, said_at),
        [border for border in borders if border < said_at] + [said_at],
    )
    driver.say("model", options)
    pipe(
        driver,
        records.slice(said_at),
        [0, *(border - said_at for border in borders if border > said_at)],
    )
    found = driver.read(PREDICTIONS).sort_by("receive_time_ns")

    assert found.column("model").to_pylist() == [CHAMPION] * swap + [CHALLENGER] * (ROWS - swap)
    assert driver.read(SHADOWS).num_rows == ROWS
