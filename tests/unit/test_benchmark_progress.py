"""Rates of a run from looks at its progress."""

from dataclasses import replace

import pytest

from benchmarks.progress import Look, rates_of


def looks(*done: int, behind_after: int = 0) -> list[Look]:
    """Return a look a second, half a CPU busy, and as many at the end with others behind."""
    found = [Look(float(at), count, 1, at / 2, 10.0 + at) for at, count in enumerate(done)]
    last = found[-1]
    found += [replace(last, at_s=last.at_s + late) for late in range(1, behind_after + 1)]
    return [*found, replace(last, at_s=found[-1].at_s + 1, behind=0)]


def test_rates_are_of_whole_windows_once_a_fifth_is_done() -> None:
    found = rates_of(looks(0, 1, 1, 300, 500, 900, 1_300, behind_after=2))

    assert found.windows == (200.0, 400.0, 400.0)
    assert (found.records, found.seconds) == (1_000, 3.0)
    assert found.cpu_us == pytest.approx(1e6 * 1.5 / 1_000)
    assert (found.drained_s, found.memory_mb) == (3.0, 16.0)


def test_a_slow_run_is_warm_after_some_seconds() -> None:
    found = rates_of(looks(0, *range(1, 100)))

    assert (found.records, found.seconds) == (94, 94.0)


def test_a_run_that_was_over_too_soon_is_refused() -> None:
    with pytest.raises(ValueError, match="give it more records"):
        rates_of(looks(0, 200))
