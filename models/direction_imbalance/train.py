"""Trains direction_imbalance on recorded features: `headrace model train direction_imbalance`."""

from collections.abc import Mapping

import pyarrow as pa

from models.bundle import TrainedBundle
from models.direction.examples import TOPICS
from models.direction.graph import INPUTS
from models.direction.train import RECORDINGS, TOPOLOGY, Design, train_design

__all__ = ["RECORDINGS", "TOPICS", "TOPOLOGY", "train"]

DESIGN = Design(
    "direction_imbalance", "1", ([name for name, *_ in INPUTS].index("queue_imbalance"),)
)


def train(tables: Mapping[str, pa.Table]) -> TrainedBundle:
    """Return the bundle learnt from the features and quotes of recordings; the same each time.

    Raises:  UsageError if there is nothing to learn from.
    """
    return train_design(DESIGN, tables)
