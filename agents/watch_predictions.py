"""Tells models whose predictions have drifted."""

import numpy as np
import pyarrow as pa

from agents.direction.prediction import PROBABILITIES
from agents.monitor.drift import DETECTOR, drifts_of
from agents.monitor.prediction_watch import PredictionWatch
from agents.monitor.sampling import names_of, sample_rows, slots_of
from headrace import Batch, Output
from headrace.state.tables import ObjectState
from schemas.topics import PREDICTION_DRIFT

KEPT = ("instrument", "source", "sequence", "receive_time_ns", "model")


def watch_predictions(batch: Batch, state: ObjectState[PredictionWatch]) -> Output:
    """Return the drifts found in the first prediction of each stream, model and second.

    Predictions between are counted as `between_samples`: nothing is learnt from them.
    """
    records = batch.records
    streams = names_of(records, ("instrument", "source", "model"))
    slots = slots_of(records)
    rows = sample_rows(streams, slots, np.ones(len(streams), bool), state)
    chances = {name: records.column(name).to_numpy() for name in PROBABILITIES}
    found = []
    for row in rows.tolist():
        watch = state.edit(streams[row])
        watch.last_slot = int(slots[row])
        sample = {name: float(values[row]) for name, values in chances.items()}
        found += [(row, drift) for drift in drifts_of(watch.detectors, sample)]
    causes = np.array([row for row, _ in found], np.int64)
    kept = records.select(KEPT).take(pa.array(causes))
    drifts = [drift for _, drift in found]
    made = {
        "detector": pa.array([DETECTOR] * len(drifts), pa.string()),
        "probability": pa.array([drift.name for drift in drifts], pa.string()),
        "mean": pa.array([drift.mean for drift in drifts], pa.float64()),
        "width": pa.array([drift.width for drift in drifts], pa.int64()),
    }
    drifted = pa.record_batch({**dict(zip(KEPT, kept.columns, strict=True)), **made})
    return Output(
        {PREDICTION_DRIFT.name: drifted},
        counts={"between_samples": len(streams) - len(rows)},
        causes={PREDICTION_DRIFT.name: causes},
    )
