"""What the throughput benchmark makes of its runs, on samples and runs made up for it."""

import numpy as np
import pytest

from benchmarks.throughput.catalog import HEADRACE, JOBS, PEERS_ALL, QUIX, STREAMS
from benchmarks.throughput.falls import compared, recorded_rates
from benchmarks.throughput.report import summaries, summary, table, verdicts
from benchmarks.throughput.run import Run
from benchmarks.throughput.trades import (
    FIRST_PRICE_TICKS,
    SIZE_LOTS_MIN,
    Trades,
    draw,
    expected_filter,
    expected_vwap,
)
from benchmarks.throughput.window import Figure, Sample, Spent, Window, figure
from benchmarks.written import FOLDER

VWAP = JOBS[0]


def follow(window: Window, *samples: tuple[float, int]) -> list[tuple[str, float]]:
    """Return what happened to the clock, and when."""
    return [
        (event, at_s) for at_s, events in samples if (event := window.see(Sample(at_s, events)))
    ]


def test_clock_starts_at_fifteen_percent_and_ends_with_the_last_record() -> None:
    seen = follow(Window(100), (0, 0), (1, 5), (2, 15), (3, 60), (4, 100), (5, 100))

    assert seen == [("start", 2), ("end", 4)]


def test_slow_peer_is_warm_five_seconds_after_its_first_output() -> None:
    seen = follow(Window(100), (0, 0), (7, 1), (11.9, 2), (12, 3), (42, 9), (43, 10))

    assert seen == [("start", 12), ("end", 42)]


def test_compiled_peer_is_given_its_seconds() -> None:
    seen = follow(Window(100, warm_s_min=8), (0, 1), (4, 20), (7.9, 40), (8, 41), (9, 100))

    assert seen == [("start", 8), ("end", 9)]


def test_compiled_peer_is_given_no_more_than_half_of_a_short_run() -> None:
    seen = follow(Window(100, warm_s_min=8), (0, 1), (1, 49), (2, 50), (3, 100))

    assert seen == [("start", 2), ("end", 3)]


def test_figure_is_what_was_done_and_spent_between_the_two() -> None:
    found = figure(Sample(10, 100), Sample(14, 500), Spent(1, 2, 10), Spent(3, 3, 19))

    assert found == Figure(
        seconds=4, events=400, rate=100, cpu_us=5_000, broker_cpu_us=2_500, others_cores=1.5
    )


def test_run_that_was_over_before_it_was_warm_has_no_figure() -> None:
    with pytest.raises(ValueError, match="more records"):
        figure(Sample(1, 100), Sample(2, 100), Spent(0, 0, 0), Spent(1, 1, 2))


def test_summary_is_the_median_with_its_spread() -> None:
    found = summary([run(rate=30), run(rate=10), run(rate=20, fault="expected 5, found 4")])

    assert found is not None
    assert (found.rate, found.rate_min, found.rate_max) == (20, 10, 30)
    assert found.faults == ("expected 5, found 4",)


def test_table_marks_who_was_wrong_and_who_gave_no_figure() -> None:
    silent = Run(STREAMS.name, VWAP.name, 5, None, "it ended | early", ())

    lines = table(VWAP, PEERS_ALL, [run(fault="expected 5 records, found 4"), silent])

    assert "**wrong**: expected 5 records, found 4" in lines[4]
    assert "**it ended / early**" in lines[5]
    assert len({line.count("|") for line in lines[2:]}) == 1
    assert len(lines) == 6


def test_verdicts_say_by_how_much_a_target_is_missed() -> None:
    lines = verdicts(
        summaries([run(rate=200, cpu_us=2), run(rate=100, cpu_us=5, peer=STREAMS.name)])
    )

    assert "| vwap: headrace to streams | 3 times | 2.00 times | **missed by 33%** |" in lines
    assert any("2.50 times | met" in line for line in lines)
    assert not any("quix" in line for line in lines)


def test_wrong_output_meets_no_target() -> None:
    ours = run(rate=900, fault="expected 5 records, found 4")

    lines = verdicts(summaries([ours, run(rate=100, peer=STREAMS.name)]))

    assert not any("met" in line.split("|")[-2] for line in lines[2:])


def test_ratio_has_fallen_where_it_is_less_than_half_of_the_record() -> None:
    now = summaries([run(rate=190), run(rate=10, peer=QUIX.name), run(rate=1, peer=STREAMS.name)])
    record = {("vwap", HEADRACE.name): 400.0, ("vwap", QUIX.name): 10.0, ("filter", "x"): 1.0}

    (ratio,) = compared(now, record)

    assert (ratio.now, ratio.then, ratio.has_fallen) == (19, 40, True)
    assert ratio.text == "vwap: headrace to quix: 19.00 times, 40.00 in the record: fallen by half"
    assert not compared(now, record | {("vwap", HEADRACE.name): 380.0})[0].has_fallen


def test_record_of_the_docs_can_be_held_against() -> None:
    rates = recorded_rates(FOLDER / "throughput.json")

    for job in ("vwap", "filter"):
        assert rates[job, HEADRACE.name] > rates[job, QUIX.name] > 0


def test_trades_are_the_same_every_time_and_walk_by_symbol() -> None:
    one, two = draw(5_000), draw(5_000)

    assert all(np.array_equal(getattr(one, n), getattr(two, n)) for n in ("symbols", "price_ticks"))
    first = one.price_ticks[one.symbols == one.symbols[0]]
    assert first[0] == FIRST_PRICE_TICKS
    assert np.abs(np.diff(first)).max() <= 5


def test_expected_outputs_are_those_of_the_last_trade_of_each_symbol() -> None:
    large, small = SIZE_LOTS_MIN + 1, SIZE_LOTS_MIN
    trades = Trades(
        ("A", "B"),
        symbols=np.array([0, 1, 0]),
        price_ticks=np.array([10, 7, 20]),
        size_lots=np.array([large, large, small]),
        time_ns=np.array([1, 2, 3]),
    )

    vwap, kept = expected_vwap(trades), expected_filter(trades)

    volume = large + small
    assert (vwap.inputs, vwap.records, kept.inputs, kept.records) == (3, 3, 3, 2)
    assert vwap.last["A"] == {
        "symbol": "A",
        "time_ns": 3,
        "vwap": (10 * large + 20 * small) / volume,
        "volume_lots": volume,
    }
    assert kept.last == {
        "A": {"symbol": "A", "time_ns": 1, "notional": 10 * large},
        "B": {"symbol": "B", "time_ns": 2, "notional": 7 * large},
    }


def run(*, rate: float = 10, cpu_us: float = 1, fault: str = "", peer: str = HEADRACE.name) -> Run:
    """Return a run of so many events a second."""
    return Run(peer, VWAP.name, 5, Figure(1, 5, rate, cpu_us, 1, 0), fault, ())
