"""What the latency benchmark makes of its rounds."""

from benchmarks.latency.__main__ import Figure, drawn, section, verdicts
from benchmarks.latency.gauge import Latency

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
