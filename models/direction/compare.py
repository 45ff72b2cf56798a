"""Compares what models said of the same vectors: `headrace model compare direction`.

One of them decided, the others spoke in shadow; quotes that came later tell who was right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table

from headrace.batch import BoolArray, FloatArray, IntArray
from headrace.errors import UsageError
from models.direction.evaluate import RECORDINGS, roc_auc
from models.direction.examples import (
    OUTCOMES,
    QUOTES_TOPIC,
    UNKNOWN,
    UP,
    column,
    directions,
)

PREDICTIONS_TOPIC = "signal.prediction.v1"
SHADOWS_TOPIC = "model.shadow.v1"
TOPOLOGY = "trading_challenger"
TOPICS = (PREDICTIONS_TOPIC, SHADOWS_TOPIC, QUOTES_TOPIC)
__all__ = ["RECORDINGS", "TOPICS", "TOPOLOGY", "compare"]

CHANCE_MIN = 1e-15
"""A model that gave what came no chance is wrong without bound; its loss is that of this."""


@dataclass(frozen=True)
class ModelScore:
    """How well a model did on the vectors of an instrument that every model spoke of.

    `said` counts its predictions, `decided` those that were no shadow, `compared` the vectors all
    models spoke of and whose outcome is known: the figures are of these. `agreement` is the share
    where it found the same outcome likeliest as the model that decided.
    """

    instrument: str
    model: str
    said: int
    decided: int
    compared: int
    auc: float
    log_loss: float
    agreement: float


@dataclass(frozen=True)
class ComparisonReport:
    """How models did beside each other."""

    scores: Sequence[ModelScore]

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)

    def __rich__(self) -> Table:
        """Return the report as a table."""
        table = Table(title="models on the same vectors: up against the rest")
        table.add_column("instrument")
        table.add_column("model")
        for title in ("said", "decided", "compared", "ROC AUC", "log loss", "agreement"):
            table.add_column(title, justify="right")
        for score in self.scores:
            counts = (score.said, score.decided, score.compared)
            figures = (score.auc, score.log_loss, score.agreement)
            table.add_row(
                score.instrument,
                score.model,
                *(f"{count:,}" for count in counts),
                *("" if np.isnan(figure) else f"{figure:.3f}" for figure in figures),
            )
        return table


def compare(tables: Mapping[str, pa.Table]) -> ComparisonReport:
    """Return how each model did on the vectors of each instrument that all models spoke of.

    The outcome is mid after the model's horizon against mid at the vector, as in training.
    Raises:  UsageError if nothing was predicted.
    """
    decided = tables[PREDICTIONS_TOPIC]
    scores: list[ModelScore] = []
    for instrument in sorted(pc.unique(decided.column("instrument")).to_pylist()):
        mine = [
            table.filter(pc.equal(table.column("instrument"), instrument)).sort_by(
                "receive_time_ns"
            )
            for table in (decided, tables[SHADOWS_TOPIC], tables[QUOTES_TOPIC])
        ]
        scores += _compare(instrument, *mine)
    if not scores:
        raise UsageError(
            "comparing models: expected predictions, found none; run the topology, name other "
            "recordings with --data, or another time with --from and --to"
        )
    return ComparisonReport(scores)


def _compare(
    instrument: str, decided: pa.Table, shadows: pa.Table, quotes: pa.Table
) -> list[ModelScore]:
    vectors = _vectors(decided, shadows)
    said_by = np.concatenate([_text(decided, "model"), _text(shadows, "model")])
    chances = np.concatenate([_chances(decided), _chances(shadows)])
    horizons = np.concatenate([column(decided, "horizon_ns"), column(shadows, "horizon_ns")])
    count = decided.num_rows
    models = sorted(set(said_by.tolist()))
    answers: dict[str, FloatArray] = {}
    labels: dict[str, IntArray] = {}
    for model in models:
        rows = np.flatnonzero((said_by == model) & (vectors < count))
        answers[model] = np.full((count, len(OUTCOMES)), np.nan)
        answers[model][vectors[rows]] = chances[rows]
        horizon_ns = int(horizons[said_by == model][0])
        labels[model] = directions(decided, quotes, horizon_ns)
    shared: BoolArray = np.logical_and.reduce(
        [~np.isnan(answers[m]).any(axis=1) & (labels[m] != UNKNOWN) for m in models]
    )
    likeliest = _chances(decided)[shared].argmax(axis=1)
    return [
        _score(
            (instrument, model),
            (int((said_by == model).sum()), int((said_by[:count] == model).sum())),
            answers[model][shared],
            labels[model][shared],
            likeliest,
        )
        for model in models
    ]


def _score(
    names: tuple[str, str],
    counts: tuple[int, int],
    answers: FloatArray,
    labels: IntArray,
    likeliest: IntArray,
) -> ModelScore:
    if not len(labels):
        nothing = float("nan")
        return ModelScore(*names, *counts, 0, nothing, nothing, nothing)
    came = np.maximum(answers[np.arange(len(labels)), labels], CHANCE_MIN)
    return ModelScore(
        *names,
        *counts,
        compared=len(labels),
        auc=roc_auc(answers[:, UP], labels == UP),
        log_loss=float(-np.log(came).mean()),
        agreement=float((answers.argmax(axis=1) == likeliest).mean()),
    )


def _vectors(decided: pa.Table, shadows: pa.Table) -> IntArray:
    """Return which decided row each row of both is of; `decided.num_rows` if of none."""
    sources = np.concatenate([_text(decided, "source"), _text(shadows, "source")])
    _, codes = np.unique(sources, return_inverse=True)
    sequences = np.concatenate(
        [table.column("sequence").to_numpy() for table in (decided, shadows)]
    )
    _, first, names = np.unique(
        np.column_stack([codes, sequences]), axis=0, return_index=True, return_inverse=True
    )
    # Decided rows come first, so the first row of a vector is the decided one if there is any.
    found: IntArray = np.minimum(first[names.ravel()], decided.num_rows)
    return found


def _chances(table: pa.Table) -> FloatArray:
    return np.column_stack([column(table, name) for name in OUTCOMES])


def _text(table: pa.Table, name: str) -> Any:
    return table.column(name).to_numpy().astype(str)
