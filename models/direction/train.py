"""Trains the direction model on recorded features: `headrace model train direction`.

Design choices, and the evidence for them, are in card.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa

from headrace.batch import FloatArray
from headrace.errors import UsageError
from models.bundle import TrainedBundle, TrainingReport
from models.direction.examples import FLAT, HORIZON_NS, TOPICS, UP, Examples, column, labelled
from models.direction.graph import DERIVED, INPUT, OUTPUT, RAW, SIGNS, derived_inputs, full_graph
from models.direction.trees import trees_of

RECORDINGS = "*_20240808.gz"
"""What of a data folder is for training; evaluate.py has the rest."""
TOPOLOGY = "trading"
__all__ = ["RECORDINGS", "TOPICS", "TOPOLOGY", "train"]

NAME, VERSION = "direction", "1"
OUTPUTS = ("probability_down", "probability_flat", "probability_up")

FIT_UNTIL, HELD_FROM = 0.6, 0.6
"""Within each recording the scales are fitted on what comes after this part of its time."""
EXAMPLES_WEIGHED_MAX = 6_000
"""An instrument with more examples counts as if it had so many: none drowns the others."""
ROUNDS = 100
SETTINGS = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 200,
    "lambda_l2": 10.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbose": -1,
}
STEPS_MAX = 50
"""Newton's method for one scale converges in five."""


@dataclass(frozen=True)
class Matrix:
    """Examples as the trees are fed them. Shapes: fed (n, len(DERIVED)); labels, weights (n,)."""

    fed: FloatArray
    labels: FloatArray
    weights: FloatArray


def train(tables: Mapping[str, pa.Table]) -> TrainedBundle:
    """Return the bundle learnt from the features and quotes of recordings; the same each time.

    Raises:  UsageError if there is nothing to learn from.
    """
    recordings = labelled(tables)
    if not recordings:
        raise UsageError(
            f"training {NAME}: expected trades with valid quotes and a second after them, found "
            "none; name a folder of recordings with --data"
        )
    early = _matrix([examples.between(0.0, FIT_UNTIL) for examples in recordings])
    late = _matrix([examples.between(HELD_FROM, 1.0) for examples in recordings])
    scales = _scales(_boosters(early), late)
    direction, movement = _boosters(_matrix(recordings))
    model = full_graph(trees_of(direction, scales[0]), trees_of(movement, scales[1]))
    report = TrainingReport(
        name=NAME,
        version=VERSION,
        examples={examples.instrument: len(examples) for examples in recordings},
        labels=[int(sum((e.labels == label).sum() for e in recordings)) for label in range(3)],
        scales={"direction": scales[0], "movement": scales[1]},
    )
    return TrainedBundle.of(
        model,
        report,
        schema="feature_vector.v1",
        tensors=(INPUT, OUTPUT),
        inputs=RAW,
        outputs=OUTPUTS,
        horizon_ns=HORIZON_NS,
    )


def _matrix(recordings: Sequence[Examples]) -> Matrix:
    fed, labels, weights = [], [], []
    for examples in recordings:
        raw = np.column_stack([column(examples.features, field.name) for field in RAW])
        usable = np.isfinite(raw).all(axis=1)
        # Trades of one burst share their future: each counts the less the more there are.
        alone = 1.0 / np.sqrt(column(examples.features, "trade_count_1s")[usable])
        share = min(1.0, EXAMPLES_WEIGHED_MAX / max(len(alone), 1))
        fed.append(derived_inputs(raw[usable]).astype(np.float64))
        labels.append(examples.labels[usable].astype(np.float64))
        weights.append(share * alone / alone.mean())
    return Matrix(np.concatenate(fed), np.concatenate(labels), np.concatenate(weights))


def _boosters(matrix: Matrix) -> tuple[Any, Any]:
    """Return the trees of direction given a move, and of whether there is a move."""
    moved = matrix.labels != FLAT
    up = (matrix.labels[moved] == UP).astype(np.float64)
    # Each example and its mirror image: nothing is learnt from where the day happened to go.
    direction = _boost(
        np.concatenate([matrix.fed[moved], matrix.fed[moved] * SIGNS]),
        np.concatenate([up, 1.0 - up]),
        np.tile(matrix.weights[moved], 2),
        {"monotone_constraints": [derived.monotone for derived in DERIVED]},
    )
    movement = _boost(np.abs(matrix.fed), moved.astype(np.float64), matrix.weights, {})
    return direction, movement


def _boost(
    fed: FloatArray, truth: FloatArray, weights: FloatArray, settings: dict[str, Any]
) -> Any:
    data = lightgbm.Dataset(fed, truth, weight=weights, params={"verbose": -1})
    return lightgbm.train(SETTINGS | settings, data, num_boost_round=ROUNDS)


def _scales(boosters: tuple[Any, Any], held: Matrix) -> tuple[float, float]:
    """Return the factors of the log odds that fit held-out examples best (temperatures)."""
    direction, movement = boosters
    asked = [direction.predict(fed, raw_score=True) for fed in (held.fed, held.fed * SIGNS)]
    moved = held.labels != FLAT
    odds = (asked[0] - asked[1])[moved] / 2
    up = (held.labels[moved] == UP).astype(np.float64)
    moves = movement.predict(np.abs(held.fed), raw_score=True)
    return (
        _scale(odds, up, held.weights[moved]),
        _scale(moves, moved.astype(np.float64), held.weights),
    )


def _scale(odds: FloatArray, truth: FloatArray, weights: FloatArray) -> float:
    """Return the maximum-likelihood factor of log odds, by Newton's method."""
    scale = 1.0
    for _ in range(STEPS_MAX):
        chance = 1.0 / (1.0 + np.exp(-scale * odds))
        slope = float(np.sum(weights * odds * (truth - chance)))
        scale += slope / float(np.sum(weights * odds**2 * chance * (1.0 - chance)))
    return round(scale, 6)
