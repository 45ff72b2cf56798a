"""Tells feature vectors that are unlike all before them, and features that have drifted."""

import numpy as np
import pyarrow as pa

from agents.monitor.drift import DETECTOR
from agents.monitor.sampling import names_of, sample_rows, slots_of
from agents.monitor.watch import FEATURES, WARM_SAMPLES, Watch
from headrace import Batch, Output
from headrace.batch import IntArray
from headrace.state.tables import ObjectState
from schemas.topics import ANOMALY, DRIFT

KEPT = ("instrument", "source", "sequence", "receive_time_ns")


def watch_features(batch: Batch, state: ObjectState[Watch]) -> Output:
    """Return a score for the first vector of each stream and second, and every drift found.

    Vectors between are counted as `between_samples`, ones that are not finite as `not_finite`:
    nothing is learnt from them. A score is no anomaly before the stream has `WARM_SAMPLES`.
    """
    records = batch.records
    streams = names_of(records, ("instrument", "source"))
    slots = slots_of(records)
    values = np.column_stack([records.column(name).to_numpy() for name in FEATURES])
    finite = np.isfinite(values).all(axis=1)
    rows = sample_rows(streams, slots, finite, state)
    scores: list[tuple[float, float, bool]] = []
    drifts: list[tuple[int, str, float, int]] = []
    for row in rows.tolist():
        watch = state.edit(streams[row])
        watch.last_slot = int(slots[row])
        score, threshold, found = watch.learn(
            dict(zip(FEATURES, values[row].tolist(), strict=True))
        )
        is_odd = watch.samples > WARM_SAMPLES and score > threshold
        scores.append((score, threshold, is_odd))
        drifts += [(row, drift.name, drift.mean, drift.width) for drift in found]
    drifted = np.array([drift[0] for drift in drifts], np.int64)
    counts = {
        "not_finite": int(len(finite) - finite.sum()),
        "between_samples": int(finite.sum()) - len(rows),
    }
    return Output(
        {
            ANOMALY.name: _anomalies(records, rows, scores),
            DRIFT.name: _drifted(records, drifted, drifts),
        },
        counts=counts,
        causes={ANOMALY.name: rows, DRIFT.name: drifted},
    )


def _anomalies(
    records: pa.RecordBatch, rows: IntArray, scores: list[tuple[float, float, bool]]
) -> pa.RecordBatch:
    kept = records.select(KEPT).take(pa.array(rows))
    columns = {
        "score": pa.array([score for score, _, _ in scores], pa.float64()),
        "threshold": pa.array([threshold for _, threshold, _ in scores], pa.float64()),
        "is_anomaly": pa.array([is_odd for _, _, is_odd in scores], pa.bool_()),
    }
    return pa.record_batch({**dict(zip(KEPT, kept.columns, strict=True)), **columns})


def _drifted(
    records: pa.RecordBatch, rows: IntArray, drifts: list[tuple[int, str, float, int]]
) -> pa.RecordBatch:
    kept = records.select(KEPT).take(pa.array(rows))
    columns = {
        "detector": pa.array([DETECTOR] * len(drifts), pa.string()),
        "feature": pa.array([feature for _, feature, _, _ in drifts], pa.string()),
        "mean": pa.array([mean for _, _, mean, _ in drifts], pa.float64()),
        "width": pa.array([width for _, _, _, width in drifts], pa.int64()),
    }
    return pa.record_batch({**dict(zip(KEPT, kept.columns, strict=True)), **columns})
