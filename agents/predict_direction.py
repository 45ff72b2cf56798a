"""Predictions of where mid goes, one for each feature vector whose quote is valid."""

import numpy as np
import pyarrow as pa

from headrace import Batch, DeadRow, Output
from headrace.batch import BoolArray, FloatArray, IntArray
from headrace.inference import Model
from schemas.topics import PREDICTION

FIELDS_KEPT = (
    *("instrument", "source", "sequence", "receive_time_ns"),
    *("bid_price_ticks", "bid_size_lots", "ask_price_ticks", "ask_size_lots", "quote_time_ns"),
    *("quote_valid", "book_valid"),
)
PROBABILITIES = ("probability_down", "probability_flat", "probability_up")
PREDICTION_SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in {
            "instrument": pa.string(),
            "source": pa.string(),
            "sequence": pa.int64(),
            "receive_time_ns": pa.int64(),
            "model": pa.string(),
            **dict.fromkeys(PROBABILITIES, pa.float64()),
            "horizon_ns": pa.int64(),
            **dict.fromkeys(FIELDS_KEPT[4:-2], pa.int64()),
            **dict.fromkeys(FIELDS_KEPT[-2:], pa.bool_()),
        }.items()
    ]
)


def predict_direction(batch: Batch, model: Model) -> Output:
    """Return the model's probabilities for each feature vector, in the batch's order.

    Without a valid quote there is no mid whose direction could be told: such rows are skipped and
    counted. An input that is not finite where the contract wants it so, or an answer that is not,
    is a dead row.
    """
    records = batch.records
    valid = records.column("quote_valid").to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(valid)
    counts = {}
    if len(rows) < len(valid):
        counts["prediction_skipped_invalid_quote"] = len(valid) - len(rows)
    inputs = model.inputs(records)[rows]
    refused = model.refused(inputs)
    dead = _dead_inputs(rows, refused, inputs, model)
    if dead:
        fed = ~refused.any(axis=1)
        rows, inputs = rows[fed], inputs[fed]
    answers = model.run(inputs)
    finite: BoolArray = np.asarray(np.isfinite(answers.sum(axis=1)), np.bool_)
    if not finite.all():
        dead += _dead_answers(rows, finite, answers, model)
        dead.sort(key=lambda row: row.row)
        rows, answers = rows[finite], answers[finite]
    if not len(rows):
        return Output(dead=dead, counts=counts)
    kept = records if len(rows) == len(valid) else records.take(pa.array(rows))
    return Output(
        {PREDICTION.name: _predictions(kept, answers, model)}, dead, counts, {PREDICTION.name: rows}
    )


def _dead_inputs(
    rows: IntArray, refused: BoolArray, inputs: FloatArray, model: Model
) -> list[DeadRow]:
    fields = model.contract.inputs
    return [
        DeadRow(
            0,
            int(rows[at]),
            "nan_feature",
            "; ".join(
                f"{fields[column].name}: expected a finite number, found {inputs[at, column]}"
                for column in np.flatnonzero(refused[at])
            ),
        )
        for at in np.flatnonzero(refused.any(axis=1))
    ]


def _dead_answers(
    rows: IntArray, finite: BoolArray, answers: FloatArray, model: Model
) -> list[DeadRow]:
    return [
        DeadRow(
            0,
            int(rows[at]),
            "nan_prediction",
            f"model {model.name}: expected finite probabilities, found {answers[at].tolist()}",
        )
        for at in np.flatnonzero(~finite)
    ]


def _predictions(kept: pa.RecordBatch, answers: FloatArray, model: Model) -> pa.RecordBatch:
    count = len(answers)
    columns = {name: kept.column(name) for name in FIELDS_KEPT} | {
        "model": pa.repeat(model.name, count),
        "horizon_ns": pa.repeat(pa.scalar(model.contract.horizon_ns, pa.int64()), count),
    }
    outputs = model.contract.outputs
    for name in PROBABILITIES:
        columns[name] = pa.array(np.ascontiguousarray(answers[:, outputs.index(name)]))
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in PREDICTION_SCHEMA.names], schema=PREDICTION_SCHEMA
    )
