"""Predictions of direction by the model an operator chose; what the others say goes aside."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from agents.direction.choice import (
    CHOICE_BY_INSTRUMENT,
    EVERY_INSTRUMENT,
    GONE,
    Choice,
    choose,
    chosen_places,
)
from agents.direction.prediction import answer, predictions, valid_rows
from agents.direction.shadow import ShadowRule, shadow_predictions
from headrace import Batch, DeadRow, Output
from headrace.batch import IntArray
from headrace.inference import Model
from headrace.state.tables import ObjectState
from schemas.instruments import UnknownInstrumentError, instrument_of
from schemas.topics import PREDICTION, SHADOW

TABLE = CHOICE_BY_INSTRUMENT

CONTROLS, VECTORS = range(2)
"""The parts of a batch. Controls come first: a word holds for the vectors beside it."""


def contest_direction(
    batch: Batch,
    state: ObjectState[Choice],
    model: Model,
    challengers: Sequence[Model],
    shadow: ShadowRule,
) -> Output:
    """Return the prediction of each vector by the model that decides, and those of the others.

    Which decides is what was last said of the instrument, or of all; `model`, the champion, if
    nothing was. What it refuses is a dead row, as in `predict_direction`; what another refuses is
    counted as `shadow_refused`. Vectors of a model that the step no longer has are dead rows.

    Reads:   model.control.v1, feature.vector.v1, in this order.
    Writes:  signal.prediction.v1, model.shadow.v1.
    Counts:  `control_applied`, `control_stale`: with the dead rows they sum to the controls read.
    """
    controls, vectors = (part.records for part in batch.parts)
    models = (model, *challengers)
    names = [each.name for each in models]
    dead, counts = _hear(controls, state, names)
    records, causes = {}, {}
    rows = valid_rows(vectors)
    if len(rows) < vectors.num_rows:
        counts["prediction_skipped_invalid_quote"] = vectors.num_rows - len(rows)
    if len(rows):
        deciders = chosen_places(vectors, state, names)
        found, decided, refused = _decide(vectors, rows, deciders, models)
        dead += refused
        shadows = shadow_predictions(vectors, rows, deciders, models, shadow)
        counts["shadow_refused"] = shadows.refused
        made = {PREDICTION.name: (found, decided), SHADOW.name: (shadows.records, shadows.rows)}
        records = {topic: each for topic, (each, _) in made.items() if each is not None}
        # Rows of a batch count through its parts.
        causes = {topic: made[topic][1] + controls.num_rows for topic in records}
    return Output(records, dead, counts, causes)


def _hear(
    controls: pa.RecordBatch, state: ObjectState[Choice], names: Sequence[str]
) -> tuple[list[DeadRow], dict[str, int]]:
    """Take operators' words in their order; what names nothing that is here changes nothing."""
    dead = []
    counts = {"control_applied": 0, "control_stale": 0}
    for row, control in enumerate(controls.to_pylist()):
        instrument, model = control["instrument"], control["model"]
        if model not in names:
            detail = f"expected one of {', '.join(names)}, found {model!r}"
            dead.append(DeadRow(CONTROLS, row, "model_unknown", detail))
            continue
        if instrument != EVERY_INSTRUMENT:
            try:
                instrument_of(instrument)
            except UnknownInstrumentError as error:
                dead.append(DeadRow(CONTROLS, row, "instrument_unknown", str(error)))
                continue
        heard = choose(
            state,
            instrument,
            model,
            from_time_ns=control["from_time_ns"],
            said_time_ns=control["event_time_ns"],
        )
        counts["control_applied" if heard else "control_stale"] += 1
    return dead, counts


def _decide(
    vectors: pa.RecordBatch, rows: IntArray, deciders: IntArray, models: Sequence[Model]
) -> tuple[pa.RecordBatch | None, IntArray, list[DeadRow]]:
    """Return predictions in the order of their rows, the row of each, and what has none."""
    dead = _gone(rows[deciders[rows] == GONE], models)
    found, decided = [], []
    for place, model in enumerate(models):
        mine = rows[deciders[rows] == place]
        if not len(mine):
            continue
        answers = answer(vectors, mine, model, part=VECTORS)
        dead += answers.dead
        if len(answers.rows):
            found.append(predictions(vectors, answers, model))
            decided.append(answers.rows)
    dead.sort(key=lambda row: row.row)
    if not found:
        return None, rows[:0], dead
    if len(found) == 1:
        return found[0], decided[0], dead
    every_row = np.concatenate(decided)
    order = np.argsort(every_row)
    return pa.concat_batches(found).take(pa.array(order)), every_row[order], dead


def _gone(rows: IntArray, models: Sequence[Model]) -> list[DeadRow]:
    detail = (
        f"the model in force is none of {', '.join(model.name for model in models)}; say which is "
        "to decide, or give the step back the bundle, and redrive"
    )
    return [DeadRow(VECTORS, row, "model_gone", detail) for row in rows.tolist()]
