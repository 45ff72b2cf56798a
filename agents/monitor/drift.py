"""Numbers whose mean has changed: an ADWIN each, of river.

ADWIN: Bifet and Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SDM 2007.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from river.drift import ADWIN

DRIFT_DELTA = 0.002
"""ADWIN's chance of a false alarm a number."""

DETECTOR = "ADWIN"

DETECTOR_CLASSES = frozenset(
    {("river._river_rust.drift", "AdaptiveWindowing"), ("river.drift.adwin", "ADWIN")}
)
"""What a detector is made of, for the codec of a table that holds some."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A number whose mean has changed: over the samples that are kept, which are the new ones."""

    name: str
    mean: float
    width: int


def new_detectors(names: tuple[str, ...]) -> dict[str, Any]:
    """Return a detector a name."""
    return {name: ADWIN(delta=DRIFT_DELTA) for name in names}


def drifts_of(detectors: Mapping[str, Any], sample: Mapping[str, float]) -> list[Drift]:
    """Show each detector its number, and return what has drifted."""
    found = []
    for name, detector in detectors.items():
        detector.update(sample[name])
        if detector.drift_detected:
            found.append(Drift(name, float(detector.estimation), int(detector.width)))
    return found
