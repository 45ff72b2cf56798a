"""What the growth benchmark judges is among what it measures."""

from benchmarks.growth.__main__ import FEW, KEYS, PARTITIONS, WORKERS, section, verdicts
from benchmarks.growth.vwap import Grown, Shape
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
    grown = [Grown(shape, RATES) for shape in (*KEYS, *PARTITIONS, *WORKERS)]

    judged = verdicts(grown)

    assert [found.median for _, found in judged] == [1.0, 1.0]
    assert {FEW, Shape(), Shape(workers=4)} <= {each.shape for each in grown}
    met, missed = section(grown, [], 1_000)[-2:]
    assert met.endswith("| met |")
    assert missed.endswith("| **missed by 67%** |")
