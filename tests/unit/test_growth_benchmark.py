"""What the growth benchmark judges is among what it measures."""

from dataclasses import replace

from benchmarks.growth.__main__ import FEW, MANY, RUNS, section, verdicts
from benchmarks.growth.vwap import Shape
from benchmarks.progress import Rates

RATES = Rates(
    records=1_000,
    seconds=2.0,
    windows=(500.0, 500.0),
    cpu_us=2.0,
    drained_s=0.0,
    memory_mb=100.0,
)


def test_every_shape_that_is_judged_is_measured() -> None:
    grown: dict[Shape, list[Rates]] = {}
    for shape in RUNS:
        grown.setdefault(shape, []).append(RATES)

    judged = verdicts(grown)

    assert [found.median for _, found in judged] == [1.0, 1.0]
    met, missed = section(grown, [], 1_000)[-2:]
    assert met.endswith("| met |")
    assert missed.endswith("| **missed by 67%** |")


def test_many_keys_are_judged_run_by_run() -> None:
    grown = {shape: [RATES] for shape in RUNS}
    grown[FEW] = [replace(RATES, cpu_us=cost) for cost in (1.0, 2.0)]
    grown[MANY] = [replace(RATES, cpu_us=cost) for cost in (1.25, 3.5)]

    (_, cost), _ = verdicts(grown)

    assert (cost.least, cost.median, cost.most) == (1.25, 1.5, 1.75)
