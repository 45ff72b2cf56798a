"""One stream's watch: how odd its features are, and whether they have drifted. river does both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from river.anomaly import HalfSpaceTrees
from river.preprocessing import MinMaxScaler
from river.stats import Quantile

from agents.monitor.drift import DETECTOR_CLASSES, Drift, drifts_of, new_detectors
from headrace import ObjectTable
from headrace.online import PickleCodec

FEATURES = (
    "spread_bps",
    "queue_imbalance",
    "return_bps_10s",
    "realized_vol_10s",
    "trade_count_10s",
    "trade_imbalance_10s",
    "ofi_10s",
)
"""What is watched of a feature vector: none of them a level, which may wander for ever."""

WARM_SAMPLES = 240
"""Before so many nothing is odd: the trees have seen two windows by then."""

TREES, HEIGHT, WINDOW_SAMPLES = 15, 6, 120
SEED = 7
ODD_QUANTILE = 0.99
"""What is odder than so much of all before it is an anomaly."""


@dataclass(slots=True)
class Watch:
    """Learns from one sample after another; the same samples give the same scores.

    Half-space trees: Tan, Ting and Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011.
    """

    last_slot: int = -1
    samples: int = 0
    scaler: Any = field(default_factory=MinMaxScaler)
    trees: Any = field(
        default_factory=lambda: HalfSpaceTrees(
            n_trees=TREES, height=HEIGHT, window_size=WINDOW_SAMPLES, seed=SEED
        )
    )
    threshold: Any = field(default_factory=lambda: Quantile(ODD_QUANTILE))
    detectors: dict[str, Any] = field(default_factory=lambda: new_detectors(FEATURES))

    def learn(self, sample: Mapping[str, float]) -> tuple[float, float, list[Drift]]:
        """Return how odd a sample is (0 to 1), the threshold before it, and what drifted."""
        self.scaler.learn_one(sample)
        scaled = self.scaler.transform_one(sample)
        score = float(self.trees.score_one(scaled))
        self.trees.learn_one(scaled)
        threshold = float(self.threshold.get()) if self.samples else 0.0
        self.threshold.update(score)
        self.samples += 1
        return score, threshold, drifts_of(self.detectors, sample)


WATCH_BY_STREAM = ObjectTable(
    "watch_features.watch_by_stream.v1",
    PickleCodec(
        lambda _: Watch(),
        DETECTOR_CLASSES
        | frozenset(
            {
                (Watch.__module__, Watch.__qualname__),
                ("river._river_rust.stats", "RsQuantile"),
                ("river.anomaly.hst", "HalfSpaceTrees"),
                ("river.preprocessing.scale", "MinMaxScaler"),
                ("river.stats.maximum", "Max"),
                ("river.stats.minimum", "Min"),
                ("river.stats.quantile", "Quantile"),
                ("river.tree.padded", "PaddedBranch"),
                ("river.tree.padded", "PaddedLeaf"),
            }
        ),
    ),
)
"""Of each stream (instrument and source)."""
