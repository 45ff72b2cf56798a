"""Evaluates direction_imbalance as the model it challenges is evaluated, on the same recordings."""

from models.direction.evaluate import RECORDINGS, TOPICS, TOPOLOGY, evaluate

__all__ = ["RECORDINGS", "TOPICS", "TOPOLOGY", "evaluate"]
