"""Evaluates the direction model on recordings it never saw: `headrace model evaluate direction`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Group
from rich.table import Table

from headrace.batch import BoolArray, FloatArray
from headrace.errors import UsageError
from headrace.inference import Model
from models.direction.examples import TOPICS, UP, Examples, column, labelled

RECORDINGS = "*_20240809.gz"
"""What of a data folder is for evaluation: train.py never sees it."""
TOPOLOGY = "trading"
__all__ = ["RECORDINGS", "TOPICS", "TOPOLOGY", "evaluate"]

BINS = 10


@dataclass(frozen=True)
class InstrumentScore:
    """How well the model tells up from the rest on one instrument.

    `auc_imbalance` is what queue imbalance alone scores; `log_loss` is over the three outcomes, in
    nats, and `log_loss_base` that of always saying the outcomes' own shares.
    """

    instrument: str
    examples: int
    shares: Sequence[float]
    auc: float
    auc_imbalance: float
    log_loss: float
    log_loss_base: float


@dataclass(frozen=True)
class CalibrationBin:
    """Examples whose predicted probability of up lies in a range: what was said, what came."""

    low: float
    high: float
    examples: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class EvaluationReport:
    """How well a model predicts."""

    model: str
    scores: Sequence[InstrumentScore]
    calibration: Sequence[CalibrationBin]

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)

    def __rich__(self) -> Group:
        """Return the report as two tables."""
        scores = Table(title=f"{self.model}: up against the rest")
        titles = ("examples", "down/flat/up", "ROC AUC", "imbalance alone", "log loss", "of shares")
        scores.add_column("instrument")
        for title in titles:
            scores.add_column(title, justify="right")
        for score in self.scores:
            scores.add_row(
                score.instrument,
                f"{score.examples:,}",
                "/".join(f"{share:.2f}" for share in score.shares),
                *(f"{value:.3f}" for value in (score.auc, score.auc_imbalance)),
                *(f"{value:.3f}" for value in (score.log_loss, score.log_loss_base)),
            )
        bins = Table(title="calibration of the probability of up, all instruments")
        for title in ("probability", "examples", "predicted", "observed"):
            bins.add_column(title, justify="right")
        for found in self.calibration:
            bins.add_row(
                f"{found.low:.1f}-{found.high:.1f}",
                f"{found.examples:,}",
                f"{found.predicted:.3f}",
                f"{found.observed:.3f}",
            )
        return Group(scores, bins)


def evaluate(model: Model, tables: Mapping[str, pa.Table]) -> EvaluationReport:
    """Return how well the model predicts the recordings' features.

    Raises:  UsageError if there is nothing to predict.
    """
    scores, chances, truths = [], [], []
    for examples in labelled(tables):
        inputs = np.column_stack(
            [column(examples.features, field.name) for field in model.contract.inputs]
        )
        usable: BoolArray = model.refused(inputs).sum(axis=1) == 0
        answers = model.run(inputs[usable])
        scores.append(_score(examples, usable, answers))
        chances.append(answers[:, UP])
        truths.append(examples.labels[usable] == UP)
    if not scores:
        raise UsageError(
            f"evaluating {model.name}: expected trades with valid quotes and a second after them, "
            "found none; name a folder of recordings with --data"
        )
    bins = _calibration(np.concatenate(chances), np.concatenate(truths))
    return EvaluationReport(model.name, scores, bins)


def roc_auc(scores: FloatArray, truths: BoolArray) -> float:
    """Return the chance that a true one scores above a false one; ties count half.

    NaN if all are true or none is.
    """
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    positives = int(truths.sum())
    pairs = positives * (len(truths) - positives)
    if pairs == 0:
        return float("nan")
    return float((ranks[truths].sum() - positives * (positives + 1) / 2) / pairs)


def _score(examples: Examples, usable: BoolArray, answers: FloatArray) -> InstrumentScore:
    labels = examples.labels[usable]
    shares = np.bincount(labels, minlength=3) / len(labels)
    chosen = answers[np.arange(len(labels)), labels]
    return InstrumentScore(
        instrument=examples.instrument,
        examples=len(labels),
        shares=shares.tolist(),
        auc=roc_auc(answers[:, UP], labels == UP),
        auc_imbalance=roc_auc(column(examples.features, "queue_imbalance")[usable], labels == UP),
        log_loss=float(-np.log(chosen).mean()),
        log_loss_base=float(-np.log(shares[labels]).mean()),
    )


def _calibration(chances: FloatArray, truths: BoolArray) -> list[CalibrationBin]:
    places = np.minimum((chances * BINS).astype(np.int64), BINS - 1)
    return [
        CalibrationBin(
            low=place / BINS,
            high=(place + 1) / BINS,
            examples=int((places == place).sum()),
            predicted=float(chances[places == place].mean()),
            observed=float(truths[places == place].mean()),
        )
        for place in np.unique(places).tolist()
    ]
