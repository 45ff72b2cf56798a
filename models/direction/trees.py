"""Boosted trees of LightGBM as the attributes of an ONNX tree ensemble, split for split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headrace.errors import InvariantError


@dataclass(frozen=True)
class Node:
    """A split (`feature`, `threshold`, children by index) or, if `feature` is None, a leaf."""

    feature: int | None
    threshold: float
    left: int
    right: int
    value: float


@dataclass(frozen=True)
class Tree:
    """The nodes of a tree, its root first, and where in an ensemble it stands.

    `target` is the output it adds to, times `factor`; `shift` is added to its features' columns.
    """

    nodes: tuple[Node, ...]
    target: int = 0
    shift: int = 0
    factor: float = 1.0

    def placed(self, target: int, shift: int, factor: float) -> "Tree":
        """Return the tree at another place; factors multiply."""
        return replace(self, target=target, shift=shift, factor=self.factor * factor)


def trees_of(booster: Any, columns: Sequence[int], scale: float = 1.0) -> list[Tree]:
    """Return the trees of a LightGBM booster, their leaves times `scale`.

    `columns` says which column of the ensemble's input each of the booster's features is.
    """
    dump = booster.dump_model()
    return [
        Tree(tuple(_walk(tree["tree_structure"], columns)), factor=scale)
        for tree in dump["tree_info"]
    ]


def ensemble_attributes(trees: Sequence[Tree]) -> dict[str, Any]:
    """Return the attributes of `TreeEnsembleRegressor` (ai.onnx.ml 3) that are these trees."""
    placed = [
        (number, index, node, tree)
        for number, tree in enumerate(trees)
        for index, node in enumerate(tree.nodes)
    ]
    leaves = [(number, index, node, tree) for number, index, node, tree in placed if _leaf(node)]
    return {
        "nodes_treeids": [number for number, *_ in placed],
        "nodes_nodeids": [index for _, index, *_ in placed],
        "nodes_modes": ["LEAF" if _leaf(node) else "BRANCH_LEQ" for _, _, node, _ in placed],
        "nodes_featureids": [
            0 if node.feature is None else node.feature + tree.shift for _, _, node, tree in placed
        ],
        "nodes_values": [node.threshold for _, _, node, _ in placed],
        "nodes_truenodeids": [node.left for _, _, node, _ in placed],
        "nodes_falsenodeids": [node.right for _, _, node, _ in placed],
        "target_treeids": [number for number, *_ in leaves],
        "target_nodeids": [index for _, index, *_ in leaves],
        "target_ids": [tree.target for *_, tree in leaves],
        "target_weights": [node.value * tree.factor for _, _, node, tree in leaves],
    }


def _leaf(node: Node) -> bool:
    return node.feature is None


def _walk(structure: dict[str, Any], columns: Sequence[int]) -> Iterator[Node]:
    """Yield a tree's nodes, breadth first, so that children's indexes are known in time."""
    waiting = [structure]
    seen = 1
    for found in waiting:
        if "leaf_value" in found:
            yield Node(None, 0.0, 0, 0, found["leaf_value"])
            continue
        if found["decision_type"] != "<=":
            raise InvariantError(f"expected numeric splits, found {found['decision_type']}")
        waiting += [found["left_child"], found["right_child"]]
        threshold = _not_above(found["threshold"])
        yield Node(columns[found["split_feature"]], threshold, seen, seen + 1, 0.0)
        seen += 2


def _not_above(threshold: float) -> float:
    """Return the largest float32 that is not above: inputs are float32, so no split moves."""
    rounded = np.float32(threshold)
    if float(rounded) > threshold:
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return float(rounded)
