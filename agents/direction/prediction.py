"""One model's predictions of feature vectors, and which vectors it cannot predict."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from headrace import DeadRow
from headrace.batch import BoolArray, FloatArray, IntArray, Selection
from headrace.inference import Model

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


class Answers(NamedTuple):
    """What a model answers to the rows it could predict, and those it could not, in order.

    Shapes:  rows (n,), values (n, len(contract.outputs)).
    """

    rows: IntArray
    values: FloatArray
    dead: list[DeadRow]


def valid_rows(records: pa.RecordBatch) -> IntArray:
    """Return which vectors have a quote, and with it a mid whose direction can be told."""
    count = records.num_rows
    valid = records.column("quote_valid")
    if valid.true_count == count:
        return np.arange(count)
    return np.flatnonzero(valid.to_numpy(zero_copy_only=False))


def answer(records: pa.RecordBatch, rows: IntArray, model: Model, *, part: int = 0) -> Answers:
    """Return the model's answers for these rows of the batch's part.

    An input that is not finite where the contract wants it so, or an answer that is not, is a dead
    row.
    """
    inputs = model.inputs(records)
    if len(rows) < records.num_rows:
        inputs = inputs[rows]
    dead: list[DeadRow] = []
    if not _is_finite(inputs):
        refused = model.refused(inputs)
        dead += _dead_inputs(rows, refused, inputs, model, part)
        fed = ~refused.any(axis=1)
        rows, inputs = rows[fed], inputs[fed]
    answers = model.run(inputs)
    if not _is_finite(answers):
        whole: BoolArray = np.logical_and.reduce(np.isfinite(answers), axis=1)
        dead += _dead_answers(rows, whole, answers, model, part)
        dead.sort(key=lambda row: row.row)
        rows, answers = rows[whole], answers[whole]
    return Answers(rows, answers, dead)


def predictions(records: pa.RecordBatch, answers: Answers, model: Model) -> pa.RecordBatch:
    """Return what is kept of the vectors with what was made of them.

    Columns are added to a batch, not taken out of one: an object each is most of a small batch.
    """
    rows, values, _ = answers
    kept = records if len(rows) == records.num_rows else records.take(pa.array(rows))
    made = made_columns(values, model)
    found = KEPT.of(kept)
    for place, field in MADE:
        found = found.add_column(place, field, made[field.name])
    return found


def made_columns(values: FloatArray, model: Model) -> dict[str, pa.Array]:
    """Return the columns of a prediction that the model makes, by name."""
    count, width = values.shape
    chances = pa.py_buffer(values.T.reshape(count * width))
    chances = pa.Array.from_buffers(pa.float64(), count * width, [None, chances], null_count=0)
    outputs = model.contract.outputs
    made = {"model": model.names(count), "horizon_ns": model.horizons_ns(count)}
    for name in PROBABILITIES:
        made[name] = chances.slice(outputs.index(name) * count, count)
    return made


def _is_finite(values: FloatArray) -> bool:
    # Counting is quicker than `all` for a row, and no slower for thousands.
    return bool(np.count_nonzero(np.isfinite(values)) == values.size)


def _dead_inputs(
    rows: IntArray, refused: BoolArray, inputs: FloatArray, model: Model, part: int
) -> list[DeadRow]:
    fields = model.contract.inputs
    return [
        DeadRow(
            part,
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
    rows: IntArray, finite: BoolArray, answers: FloatArray, model: Model, part: int
) -> list[DeadRow]:
    return [
        DeadRow(
            part,
            int(rows[at]),
            "nan_prediction",
            f"model {model.name}: expected finite probabilities, found {answers[at].tolist()}",
        )
        for at in np.flatnonzero(~finite)
    ]
