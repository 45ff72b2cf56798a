"""What several tasks write to one topic, in the order of time."""

import numpy as np
import pyarrow as pa

from headrace.byte_column import ByteColumn
from headrace.local.interleave import in_order_of_time
from headrace.runtime.emission import Emission


def written(*rows: tuple[str, str, int], headers: bool = False) -> Emission:
    """Return an emission of (value, key, time in ms)."""
    values, keys, times = zip(*rows, strict=True)
    return Emission(
        "step",
        "topic",
        ByteColumn(pa.array([value.encode() for value in values], pa.binary())),
        ByteColumn(pa.array([key.encode() for key in keys], pa.binary())),
        np.arange(len(rows)),
        [[("of", value.encode())] for value in values] if headers else None,
        np.array(times, np.int64),
    )


def order(*emissions: Emission) -> str:
    """Return the values as they stand."""
    return b"".join(value or b"" for value in in_order_of_time(emissions).values).decode()


def test_records_of_two_tasks_meet_in_the_order_of_time() -> None:
    assert (
        order(written(("a", "k", 1), ("d", "k", 4)), written(("b", "k", 2), ("c", "k", 3)))
        == "abcd"
    )


def test_records_of_one_time_stand_in_the_order_of_the_tasks() -> None:
    assert order(written(("a", "k", 5)), written(("b", "k", 5)), written(("0", "k", 1))) == "0ab"


def test_a_key_keeps_the_order_in_which_a_task_wrote_it() -> None:
    assert order(written(("x", "k", 9), ("y", "k", 2), ("z", "other", 5))) == "zxy"


def test_headers_partitions_and_times_go_with_their_records() -> None:
    found = in_order_of_time(
        [written(("b", "k", 2), headers=True), written(("a", "k", 1), ("c", "k", 3))]
    )

    assert list(found.values) == [b"a", b"b", b"c"]
    assert found.headers == [(), [("of", b"b")], ()]
    assert found.partitions.tolist() == [0, 0, 1]
    assert found.timestamps_ms is not None
    assert found.timestamps_ms.tolist() == [1, 2, 3]
