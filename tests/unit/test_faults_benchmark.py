"""A prover that crashed proved nothing: its seed is run again, and its exit code is not taken."""

from pathlib import Path

import pytest

from benchmarks.faults import CRASHES_MAX, Storm


def storm_of(codes: list[int], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Storm:
    """Return a storm whose provers end with these codes, in turn."""
    left = iter(codes)
    monkeypatch.setattr(Storm, "_run_once", lambda _: next(left))
    return Storm(folder / "storm", 1, 240, 22)


@pytest.mark.parametrize(
    ("codes", "code", "crashes"),
    [
        ([0], 0, 0),
        ([1], 1, 0),
        ([-11, 0], 0, 1),
        ([-11, 1], 1, 1),
        ([-11] * (CRASHES_MAX + 1), -11, CRASHES_MAX),
    ],
)
def test_a_seed_is_run_again_only_after_a_crash(
    codes: list[int], code: int, crashes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = storm_of(codes, tmp_path, monkeypatch)

    assert storm.run() == code
    assert storm.crashes == crashes
    assert storm.reports() == []
