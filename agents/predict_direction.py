"""Predictions of where mid goes, one for each feature vector whose quote is valid."""

from agents.direction.prediction import answer, predictions, valid_rows
from headrace import Batch, Output
from headrace.inference import Model
from schemas.topics import PREDICTION


def predict_direction(batch: Batch, model: Model) -> Output:
    """Return the model's probabilities for each feature vector, in the batch's order.

    Without a valid quote there is no mid whose direction could be told: such rows are skipped and
    counted. An input that is not finite where the contract wants it so, or an answer that is not,
    is a dead row.
    """
    records = batch.records
    rows = valid_rows(records)
    counts = {}
    if len(rows) < records.num_rows:
        counts["prediction_skipped_invalid_quote"] = records.num_rows - len(rows)
    answers = answer(records, rows, model)
    if not len(answers.rows):
        return Output(dead=answers.dead, counts=counts)
    return Output(
        {PREDICTION.name: predictions(records, answers, model)},
        answers.dead,
        counts,
        {PREDICTION.name: answers.rows},
    )
