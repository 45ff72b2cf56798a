"""What the latency benchmark makes of its rounds."""

from pathlib import Path

import pytest

from benchmarks.latency.__main__ import STREAMS_OF, WAYS, Figure, drawn, section, verdicts
from benchmarks.latency.gauge import Latency
from benchmarks.latency.streams import READY, Relay

RATE = 10_000


def figure(way: str, number: int, p50_ms: float, rate: int = RATE) -> Figure:
    return Figure(way, rate, number, Latency(p50_ms, 2 * p50_ms, sent=100, came=90))


FIGURES = [
    figure("fused", 1, 2.0),
    figure("one bare hop", 1, 1.0),
    figure("fused", 2, 6.0),
    figure("one bare hop", 2, 5.0),
    figure("fused", 1, 9.0, rate=1_000),
]


def test_ways_are_judged_round_by_round_at_one_rate() -> None:
    judged = verdicts(FIGURES)

    assert [target.what.split(": ")[1] for target, _ in judged] == [
        "p50 to one bare hop",
        "p99 to one bare hop",
    ]
    assert [(found.least, found.most) for _, found in judged] == [(1.2, 2.0)] * 2


def test_the_page_has_every_rate_and_the_picture_the_judged_one() -> None:
    lines = section(FIGURES, 2)

    assert lines[4].startswith("| 1,000 | fused | 9.00 | 9.00 to 9.00 | 18.00 |")
    assert "| 90.0% |" in lines[5]
    assert any("**missed by 7%**" in line for line in lines)
    assert [bar["median"] for bar in drawn(FIGURES)["bars"]] == [3.0, 4.0]


def test_our_p99_is_to_be_half_of_kafka_streams_at_most() -> None:
    figures = [
        figure("split, exactly once", 1, 3.0),
        figure("Kafka Streams, split, exactly once", 1, 5.0),
    ]

    ((target, found),) = verdicts(figures)

    assert target.what == (
        "split, exactly once at 10,000 records/s: p99 to Kafka Streams, split, exactly once"
    )
    assert (target.bound, target.is_most, found.median) == (0.5, True, 0.6)


def test_every_way_of_ours_has_one_of_kafka_streams() -> None:
    ours = {way for way in WAYS if "bare" not in way and "Streams" not in way}

    assert STREAMS_OF.keys() == ours
    assert set(STREAMS_OF.values()) <= set(WAYS)


def test_only_ours_are_drawn_as_ours() -> None:
    found = drawn([figure(way, 1, 1.0) for way in ("fused", "one bare hop", STREAMS_OF["fused"])])

    assert [bar["is_ours"] for bar in found["bars"]] == [False, True, False]


def test_a_run_of_kafka_streams_is_told_its_hops_and_its_promise(tmp_path: Path) -> None:
    relay = Relay("here:9092", ["a", "b"], 7, "", tmp_path, "run-1", is_split=True, is_exact=True)

    told = relay.environment()

    assert told["BENCH_HOPS"] == "a,b"
    assert (told["BENCH_SPLIT"], told["BENCH_GUARANTEE"]) == ("yes", "exactly_once")
    assert told["BENCH_COMMIT_INTERVAL_MS"] == "100"


@pytest.mark.parametrize(
    "script", ["echo gone; exit 3", f"echo {READY}; echo gone; exit 3"], ids=["before", "at work"]
)
def test_a_relay_that_ends_early_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr("benchmarks.latency.streams.java_command", lambda *_: ("sh", "-c", script))
    relay = Relay("here:9092", [], 7, "", tmp_path, "run-1", is_split=False, is_exact=False)

    with (
        pytest.raises(ChildProcessError, match=r"exit code 3; its last words: [^$]*gone"),
        relay.running() as child,
    ):
        child.wait(30)


def test_a_relay_that_is_at_work_is_ended_with_the_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "benchmarks.latency.streams.java_command",
        lambda *_: ("sh", "-c", f"echo {READY}; exec sleep 60"),
    )
    relay = Relay("here:9092", [], 7, "", tmp_path, "run-1", is_split=False, is_exact=False)

    with relay.running() as child:
        assert child.poll() is None

    assert child.returncode is not None
