"""The windows job of the throughput benchmark: its input, what must come of it, and our step."""

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.projects.vwap.agents.gather_windows import gather_windows
from benchmarks.throughput.catalog import JOBS, PEERS_ALL, STREAMS, STREAMS_EXACTLY, Setting
from benchmarks.throughput.cluster import PARTITIONS, about
from benchmarks.throughput.event_windows import (
    DISORDERED_SHARE,
    GRACE_NS,
    LATE_SHARE,
    SECOND_NS,
    WINDOWS_NS,
    disordered,
    ends_of,
    expected_windows,
)
from benchmarks.throughput.trades import Trades, draw
from headrace import Batch
from headrace.batch import Part
from headrace.operators import Count, IntSum, Vwap, Windows, operator_table, tumbling

WINDOWS = JOBS[2]
TRADES = draw(300_000)
"""Thirty seconds; the first whole minute ends at 20 s."""


def test_input_is_the_same_every_time() -> None:
    one, two = disordered(TRADES), disordered(TRADES)

    assert np.array_equal(one.time_ns, two.time_ns)


def test_some_trades_are_out_of_order_and_some_too_late() -> None:
    moved = disordered(TRADES).time_ns[: len(TRADES)]

    back_ns = TRADES.time_ns - moved
    assert np.mean((back_ns > 0) & (back_ns < GRACE_NS)) == pytest.approx(DISORDERED_SHARE, rel=0.1)
    assert np.mean(back_ns > GRACE_NS) == pytest.approx(LATE_SHARE, rel=0.2)


def test_last_trades_close_every_window_but_their_own() -> None:
    arranged = disordered(TRADES)

    expected = expected_windows(arranged)

    last = arranged.time_ns[-1]
    assert expected.inputs == len(TRADES) + len(TRADES.names)
    assert max(end_ns for _, _, end_ns in expected.last) == last - GRACE_NS
    first, end = int(TRADES.time_ns[0]), int(TRADES.time_ns[-1])
    # A second for each symbol, and the two minutes that the thirty seconds touch.
    seconds = (end - first) // SECOND_NS + 1
    minutes = len(np.unique(ends_of(TRADES.time_ns, 60 * SECOND_NS)))
    of_input = [what for what in expected.last if what[1] >= first - 40 * SECOND_NS]
    assert len(of_input) == len(TRADES.names) * (seconds + minutes)


def test_too_late_for_its_second_may_be_in_time_for_its_minute() -> None:
    second = SECOND_NS
    trades = Trades(
        ("A",),
        symbols=np.zeros(5, np.int64),
        price_ticks=np.array([10, 21, 99, 50, 1]),
        size_lots=np.array([1, 1, 2, 1, 1]),
        time_ns=np.array([0, 9 * second, second // 2, 59 * second, 62 * second]),
    )

    expected = expected_windows(trades)

    assert expected.inputs == 5
    assert expected.last == {
        # The third trade comes 8.5 s late: its second is closed, its minute is not.
        ("A", 0, second): window(0, second, trades=1, volume=1, vwap=10),
        ("A", 9 * second, 10 * second): window(9 * second, 10 * second, 1, 1, 21),
        ("A", 59 * second, 60 * second): window(59 * second, 60 * second, 1, 1, 50),
        # (10 + 21 + 198 + 50) / 5 = 55.8
        ("A", 0, 60 * second): window(0, 60 * second, trades=4, volume=5, vwap=56),
    }
    assert expected.records == 4


def test_price_halfway_is_rounded_upwards() -> None:
    trades = Trades(
        ("A",),
        symbols=np.zeros(3, np.int64),
        price_ticks=np.array([10, 11, 1]),
        size_lots=np.ones(3, np.int64),
        time_ns=np.array([0, 1, 3 * SECOND_NS]),
    )

    (found,) = expected_windows(trades).last.values()

    assert found["vwap_ticks"] == 11


def test_input_whose_answer_depends_on_whose_time_counts_is_refused() -> None:
    trades = Trades(
        ("A", "B"),
        symbols=np.array([0, 1]),
        price_ticks=np.ones(2, np.int64),
        size_lots=np.ones(2, np.int64),
        time_ns=np.array([9 * SECOND_NS, 0]),
    )

    with pytest.raises(ValueError, match="whose time counts, found 1"):
        expected_windows(trades)


@pytest.mark.parametrize("batch_rows", [1_000, 8_192])
def test_our_step_gives_what_is_expected(batch_rows: int) -> None:
    """By the time of a partition, as it is dealt out, whatever the batches."""
    arranged = disordered(TRADES)
    windows = {
        str(size_ns): Windows(
            tumbling(size_ns),
            {
                "trades": Count(),
                "volume_lots": IntSum("size_lots"),
                "vwap_ticks": Vwap("price_ticks", "size_lots"),
            },
            lateness_ns=GRACE_NS,
        )
        for size_ns in WINDOWS_NS
    }
    found = []
    for partition in range(PARTITIONS):
        state = operator_table("gather.window_by_operator.v1", windows).open()
        rows = np.flatnonzero(arranged.symbols % PARTITIONS == partition)
        for first in range(0, len(rows), batch_rows):
            batch = batch_of(arranged, rows[first : first + batch_rows])
            output = gather_windows(batch, state, windows, "out")
            found += output.records["out"].to_pylist()
            assert len(output.causes["out"]) == output.records["out"].num_rows

    expected = expected_windows(arranged)

    assert len(found) == expected.records
    assert {tuple(one[part] for part in WINDOWS.parts): one for one in found} == expected.last


def test_an_output_is_about_its_window_where_the_key_does_not_say_which() -> None:
    class Message:
        def key(self) -> bytes:
            return b"SYM000"

    assert about(Message(), JOBS[0], None) == "SYM000"
    assert WINDOWS.parts == ("symbol", "start_ns", "end_ns")


def test_streams_commits_windows_every_second_and_transactions_as_often_as_we_do(
    tmp_path: object,
) -> None:
    commits = {
        (peer.name, job.name): setting(job.name, tmp_path).environment(peer)[
            "BENCH_COMMIT_INTERVAL_MS"
        ]
        for peer in (STREAMS, STREAMS_EXACTLY)
        for job in JOBS
    }

    assert commits["streams", "windows"] == "1000"
    assert commits["streams", "vwap"] == "30000"
    assert commits["streams-exactly", "windows"] == commits["streams-exactly", "vwap"] == "100"


def test_every_peer_of_the_job_is_told_the_same_windows(tmp_path: object) -> None:
    told = [
        setting("windows", tmp_path).environment(peer)
        for peer in PEERS_ALL
        if "windows" in peer.jobs
    ]

    assert len(told) == 5
    assert {one["BENCH_WINDOWS_MS"] for one in told} == {"1000,60000"}
    assert {one["BENCH_GRACE_MS"] for one in told} == {"2000"}
    assert all(one["BENCH_OUTPUT_SCHEMA"].endswith("window.v1.avsc") for one in told)


def window(start_ns: int, end_ns: int, trades: int, volume: int, vwap: int) -> dict[str, object]:
    """Return the output of a window of symbol A."""
    return {
        "symbol": "A",
        "start_ns": start_ns,
        "end_ns": end_ns,
        "trades": trades,
        "volume_lots": volume,
        "vwap_ticks": vwap,
    }


def batch_of(trades: Trades, rows: np.ndarray) -> Batch:
    """Return these trades as a step reads them."""
    names = np.array(trades.names)
    records = pa.record_batch(
        {
            "symbol": pa.array(names[trades.symbols[rows]]),
            "price_ticks": trades.price_ticks[rows],
            "size_lots": trades.size_lots[rows],
            "time_ns": trades.time_ns[rows],
        }
    )
    offsets = np.arange(len(rows), dtype=np.int64)
    nothing = [None] * len(rows)
    return Batch.of(Part("in", 0, records, nothing, nothing, offsets, offsets))


def setting(job: str, state: object) -> Setting:
    """Return what a peer is told of a run of a job."""
    return Setting(
        kafka="here:9092",
        job=job,
        input="in",
        output="out",
        group="group",
        state=state,  # type: ignore[arg-type]
        input_schema_id=1,
        output_schema_id=2,
        size_lots_min=500,
        class_path="",
    )
