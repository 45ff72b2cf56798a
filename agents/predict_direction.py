"""Predictions of where mid goes, one for each feature vector whose quote is valid."""

import numpy as np
import pyarrow as pa

from headrace import Batch, DeadRow, Output
from headrace.batch import BoolArray, FloatArray, IntArray, Selection
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

KEPT = Selection(FIELDS_KEPT)
MADE = [
    (place, field) for place, field in enumerate(PREDICTION_SCHEMA) if field.name not in FIELDS_KEPT
]


def predict_direction(batch: Batch, model: Model) -> Output:
    """Return the model's probabilities for each feature vector, in the batch's order.

    Without a valid quote there is no mid whose direction could be told: such rows are skipped and
    counted. An input that is not finite where the contract wants it so, or an answer that is not,
    is a dead row.
    """
    records = batch.records
    count = records.num_rows
    inputs = model.inputs(records)
    rows = np.arange(count)
    counts = {}
    valid = records.column("quote_valid")
    if valid.true_count < count:
        rows = np.flatnonzero(valid.to_numpy(zero_copy_only=False))
        inputs = inputs[rows]
        counts["prediction_skipped_invalid_quote"] = count - len(rows)
    dead: list[DeadRow] = []
    if not _is_finite(inputs):
        refused = model.refused(inputs)
        dead += _dead_inputs(rows, refused, inputs, model)
        fed = ~refused.any(axis=1)
        rows, inputs = rows[fed], inputs[fed]
    answers = model.run(inputs)
    if not _is_finite(answers):
        whole: BoolArray = np.logical_and.reduce(np.isfinite(answers), axis=1)
        dead += _dead_answers(rows, whole, answers, model)
        dead.sort(key=lambda row: row.row)
        rows, answers = rows[whole], answers[whole]
    if not len(rows):
        return Output(dead=dead, counts=counts)
    kept = records if len(rows) == count else records.take(pa.array(rows))
    return Output(
        {PREDICTION.name: _predictions(kept, answers, model)}, dead, counts, {PREDICTION.name: rows}
    )


def _is_finite(values: FloatArray) -> bool:
    # Counting is quicker than `all` for a row, and no slower for thousands.
    return bool(np.count_nonzero(np.isfinite(values)) == values.size)


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
    """Return what is kept of the vectors with what was made of them.

    Columns are added to a batch, not taken out of one: an object each is most of a small batch.
    """
    count, width = answers.shape
    chances = pa.py_buffer(answers.T.reshape(count * width))
    chances = pa.Array.from_buffers(pa.float64(), count * width, [None, chances], null_count=0)
    outputs = model.contract.outputs
    made = {"model": model.names(count), "horizon_ns": model.horizons_ns(count)}
    for name in PROBABILITIES:
        made[name] = chances.slice(outputs.index(name) * count, count)
    predictions = KEPT.of(kept)
    for place, field in MADE:
        predictions = predictions.add_column(place, field, made[field.name])
    return predictions
