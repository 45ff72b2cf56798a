"""What the takeover benchmark makes of logs and times."""

import json
from dataclasses import replace

import pytest

from benchmarks.takeover import Takeover, logged, section, worst
from benchmarks.touches import keys_a_partition

FOUND = Takeover("with standby", 2_000, 1_000, 3, 375, 2.1, 3.0, 0.9, 12, 3.4)


def line(event: str, second: int, **fields: object) -> str:
    """Return a line of a worker's log."""
    stamp = f"2026-01-01T00:00:{second:02}Z"
    return json.dumps({"event": event, "timestamp": stamp} | fields)


LOG = "\n".join(
    [
        "not JSON",
        line("partitions_assigned", 1, partitions=[0, 1, 2]),
        line("something_else", 3),
        line("partitions_assigned", 14, partitions=[4, 5]),
        line("state_restored", 15, partition=4, took_s=0.5, records_read=10),
        line("state_restored", 18, partition=5, took_s=2.5, records_read=7),
        line("state_restored", 20, partition=0, took_s=9, records_read=99),
    ]
)
START_S = 1_767_225_600.0
"""The first second of 2026."""


def test_slowest_of_the_partitions_that_moved_is_told() -> None:
    found = worst(logged(LOG, START_S + 12), {4, 5})

    assert found == {"noticed_s": 2.0, "restored_s": 6.0, "restore_s": 2.5, "records_read": 10}


@pytest.mark.parametrize(
    ("takeover", "is_within"),
    [
        (FOUND, True),
        (replace(FOUND, processed_s=5.1), False),
        (replace(FOUND, processed_s=None), False),
        (replace(FOUND, case="without standby", processed_s=29.0), True),
        (replace(FOUND, case="without standby", processed_s=31.0), False),
    ],
)
def test_each_case_has_its_bound(takeover: Takeover, is_within: bool) -> None:
    assert takeover.is_within is is_within
    assert ("held" in section([takeover], "here")[-1]) is is_within


def test_partition_that_was_never_processed_again_is_said() -> None:
    assert "| never |" in section([replace(FOUND, processed_s=None)], "here")[-1]


def test_table_has_a_cell_a_column() -> None:
    _, _, *rows = section([FOUND], "here")

    assert len({row.count("|") for row in rows}) == 1


def test_keys_are_counted_where_they_lie() -> None:
    counts = keys_a_partition([f"key-{n}" for n in range(1_000)], 8)

    assert sum(counts) == 1_000
    assert min(counts) > 90
