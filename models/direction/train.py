"""Trains the direction model on recorded features: `headrace model train direction`.

Design choices, and the evidence for them, are in card.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa

from headrace.batch import BoolArray, FloatArray, IntArray
from headrace.errors import UsageError
from models.bundle import TrainedBundle, TrainingReport
from models.direction.examples import (
    DOWN,
    FLAT,
    HORIZON_NS,
    NEARBY_NS,
    OUTCOMES,
    TOPICS,
    UP,
    Examples,
    column,
    labelled,
)
from models.direction.graph import (
    DIRECTION,
    INPUT,
    INPUTS,
    MOVEMENT,
    OUTPUT,
    RAW,
    SIGNS,
    fed_inputs,
    full_graph,
)
from models.direction.trees import trees_of

RECORDINGS = "*_20240808.gz"
"""What of a data folder is for training; evaluate.py has the rest."""
TOPOLOGY = "trading"
__all__ = ["RECORDINGS", "TOPICS", "TOPOLOGY", "train"]


FIT_UNTIL = 0.6
"""Within each recording the scales are fitted on what comes after this part of its time."""
EXAMPLES_WEIGHED_MAX = 6_000
"""An instrument with more examples counts as if it had so many: none drowns the others."""
SETTINGS = {
    "objective": "binary",
    "lambda_l2": 10.0,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # sums are the same whatever the machine, and no thread waits for another
    "verbose": -1,
}
# Splits at random places, the best of which is taken, vary less from session to session.
DIRECTION_SETTINGS = {
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 200 * len(NEARBY_NS),
    "feature_fraction": 0.8,
    "extra_trees": True,
}
DIRECTION_ROUNDS = 150
MOVEMENT_SETTINGS = {
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.6,
}
MOVEMENT_ROUNDS = 80
STEPS_MAX = 50
"""Newton's method converges in five."""


@dataclass(frozen=True)
class Design:
    """A bundle of this kind: its name and version, and which inputs decide between up and down."""

    name: str
    version: str
    direction: tuple[int, ...]


DESIGN = Design("direction", "1", DIRECTION)


@dataclass(frozen=True)
class Matrix:
    """Examples as the trees are fed them.

    Shapes:  fed (n, len(INPUTS)), labels and weights (n,), nearby (n, len(NEARBY_NS)).
    """

    fed: FloatArray
    labels: IntArray
    nearby: IntArray
    weights: FloatArray


@dataclass(frozen=True)
class Boosters:
    """Trees that say up or down given a move, and trees that say whether there is a move."""

    direction: Any
    movement: Any
    places: tuple[int, ...]
    """Of the inputs that the first are fed."""

    def log_odds(self, fed: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the log odds of up given a move, and of a move."""
        up, down = (
            self.direction.predict(side[:, self.places], raw_score=True)
            for side in (fed, fed * SIGNS)
        )
        return (up - down) / 2, self.movement.predict(_unsigned(fed), raw_score=True)


def train(tables: Mapping[str, pa.Table]) -> TrainedBundle:
    """Return the bundle learnt from the features and quotes of recordings; the same each time.

    Raises:  UsageError if there is nothing to learn from.
    """
    return train_design(DESIGN, tables)


def train_design(design: Design, tables: Mapping[str, pa.Table]) -> TrainedBundle:
    """Return the bundle of a design, as `train` does."""
    recordings = labelled(tables)
    if not recordings:
        raise UsageError(
            f"training {design.name}: expected trades with valid quotes and a second after "
            "them, found none; name a folder of recordings with --data"
        )
    early = _boost_all(
        _matrix([examples.between(0.0, FIT_UNTIL) for examples in recordings]), design.direction
    )
    scales = _scales(early, _matrix([examples.between(FIT_UNTIL, 1.0) for examples in recordings]))
    boosters = _boost_all(_matrix(recordings), design.direction)
    model = full_graph(
        trees_of(boosters.direction, design.direction, scales["direction"]),
        trees_of(boosters.movement, MOVEMENT, scales["movement"]),
        scales["rate"],
    )
    report = TrainingReport(
        name=design.name,
        version=design.version,
        examples={examples.instrument: len(examples) for examples in recordings},
        labels=[int(sum((e.labels == label).sum() for e in recordings)) for label in range(3)],
        scales=scales,
    )
    return TrainedBundle.of(
        model,
        report,
        schema="feature_vector.v1",
        tensors=(INPUT, OUTPUT),
        inputs=RAW,
        outputs=OUTCOMES,
        horizon_ns=HORIZON_NS,
    )


def _matrix(recordings: Sequence[Examples]) -> Matrix:
    fed, labels, nearby, weights = [], [], [], []
    for examples in recordings:
        raw = np.column_stack([column(examples.features, field.name) for field in RAW])
        usable = np.isfinite(raw).all(axis=1)
        # Trades of one burst share their future: a second counts once, however many it holds.
        alone = 1.0 / column(examples.features, "trade_count_1s")[usable]
        share = min(1.0, EXAMPLES_WEIGHED_MAX / max(len(alone), 1))
        fed.append(fed_inputs(raw[usable]))
        labels.append(examples.labels[usable])
        nearby.append(examples.nearby[usable])
        weights.append(share * alone / alone.mean())
    return Matrix(
        np.concatenate(fed), np.concatenate(labels), np.concatenate(nearby), np.concatenate(weights)
    )


def _boost_all(matrix: Matrix, places: tuple[int, ...]) -> Boosters:
    fed, truth, weights = [], [], []
    for labels in matrix.nearby.T:
        moved = (labels == UP) | (labels == DOWN)
        up = (labels[moved] == UP).astype(np.float64)
        # Each example and its mirror image: nothing is learnt from where the day happened to go.
        fed += [side[:, places] for side in (matrix.fed[moved], matrix.fed[moved] * SIGNS)]
        truth += [up, 1.0 - up]
        weights += [matrix.weights[moved] / len(NEARBY_NS)] * 2
    fed_all, truth_all, weights_all = (np.concatenate(parts) for parts in (fed, truth, weights))
    moves = (matrix.labels != FLAT).astype(np.float64)
    unsigned = _unsigned(matrix.fed)
    monotone = {"monotone_constraints": [INPUTS[place].monotone for place in places]}
    settings = DIRECTION_SETTINGS | monotone
    return Boosters(
        _boost(fed_all, truth_all, weights_all, settings, DIRECTION_ROUNDS),
        _boost(unsigned, moves, matrix.weights, MOVEMENT_SETTINGS, MOVEMENT_ROUNDS),
        places,
    )


def _unsigned(fed: FloatArray) -> FloatArray:
    unsigned: FloatArray = np.abs(fed[:, MOVEMENT])
    return unsigned


def _boost(
    fed: FloatArray,
    truth: FloatArray,
    weights: FloatArray,
    settings: Mapping[str, Any],
    rounds: int,
) -> Any:
    data = lightgbm.Dataset(fed, truth, weight=weights, params={"verbose": -1})
    return lightgbm.train({**SETTINGS, **settings}, data, num_boost_round=rounds)


def _scales(boosters: Boosters, held: Matrix) -> dict[str, float]:
    """Return what turns log odds into those that fit held-out examples best (Platt scaling)."""
    odds, moves = boosters.log_odds(held.fed)
    moved = held.labels != FLAT
    # Direction has no constant: exchanging buyers and sellers must exchange up and down.
    (direction,) = _logistic(odds[moved, None], held.labels[moved] == UP, held.weights[moved])
    movement, rate = _logistic(np.column_stack([moves, np.ones(len(moves))]), moved, held.weights)
    found = {"direction": direction, "movement": movement, "rate": rate}
    return {name: round(float(value), 4) for name, value in found.items()}


def _logistic(terms: FloatArray, truth: BoolArray, weights: FloatArray) -> FloatArray:
    """Return the factors of a logistic regression, by Newton's method."""
    factors = np.zeros(terms.shape[1])
    for _ in range(STEPS_MAX):
        chance = 1.0 / (1.0 + np.exp(-terms @ factors))
        slope = terms.T @ (weights * (truth - chance))
        curve = (terms * (weights * chance * (1.0 - chance))[:, None]).T @ terms
        factors += np.linalg.solve(curve, slope)
    return factors
