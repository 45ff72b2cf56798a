"""One model's watch over one stream: whether what it predicts has drifted."""

from dataclasses import dataclass, field
from typing import Any

from agents.direction.prediction import PROBABILITIES
from agents.monitor.drift import DETECTOR_CLASSES, new_detectors
from headrace import ObjectTable
from headrace.online import PickleCodec


@dataclass(slots=True)
class PredictionWatch:
    """Learns from one prediction after another; the same ones tell the same drifts."""

    last_slot: int = -1
    detectors: dict[str, Any] = field(default_factory=lambda: new_detectors(PROBABILITIES))


WATCH_BY_STREAM = ObjectTable(
    "watch_predictions.watch_by_stream.v1",
    PickleCodec(
        lambda _: PredictionWatch(),
        DETECTOR_CLASSES | {(PredictionWatch.__module__, PredictionWatch.__qualname__)},
    ),
)
"""Of each stream (instrument and source) and model: another model's drift is no drift."""
