"""The ONNX graph of the bundle: features in, one ensemble over them and their mirror, odds out.

The graph holds everything between the contract's inputs and outputs, so that training and serving
cannot differ. Beside the trees it only casts, multiplies and subtracts: exactly rounded, so that a
row's answer does not depend on its neighbours.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from headrace.batch import FloatArray
from headrace.inference import InputField
from models.direction.trees import Tree, ensemble_attributes


class Input(NamedTuple):
    """A field of the feature vector that the trees are fed.

    `sign` is -1 if the mirrored market (buyers and sellers exchanged) shows it with the other sign.
    `monotone` is +1 where more of it can only speak for up.
    """

    name: str
    sign: int
    monotone: int


INPUTS = (
    Input("queue_imbalance", -1, 1),
    Input("aggressor_sign", -1, 1),
    Input("trade_imbalance_1s", -1, 1),
    Input("realized_vol_10s", 1, 0),
    Input("trade_count_1s", 1, 0),
    Input("spread_bps", 1, 0),
)
RAW = tuple(InputField(name, "double") for name, *_ in INPUTS)
SIGNS = np.array([sign for _, sign, _ in INPUTS], np.float32)
DIRECTION = (0, 1, 2)
"""What decides between up and down: what kept its sign in every minute and on every market."""
MOVEMENT = (0, 3, 4, 5)
"""What decides whether mid moves at all, without its sign."""
INPUT, OUTPUT = "features", "probabilities"
OPSET, OPSET_TREES, IR_VERSION = 17, 3, 8


def full_graph(direction: Sequence[Tree], movement: Sequence[Tree], rate: float) -> bytes:
    """Return the model: P(move) from `movement`, P(up | move) from `direction`, odd by design.

    `rate` is added to the log odds of a move.

    Direction trees are asked twice, about the market and about its mirror image, and half the
    difference is taken: exchanging buyers and sellers exchanges up and down.
    """
    count = len(INPUTS)
    nodes = [
        helper.make_node("Cast", [INPUT], ["fed"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["fed", "signs"], ["mirrored"]),
        helper.make_node("Abs", ["fed"], ["unsigned"]),
        helper.make_node("Concat", ["fed", "mirrored", "unsigned"], ["asked"], axis=1),
    ]
    trees = [tree.placed(target=0, shift=0, factor=0.5) for tree in direction]
    trees += [tree.placed(target=0, shift=count, factor=-0.5) for tree in direction]
    trees += [tree.placed(target=1, shift=2 * count, factor=1.0) for tree in movement]
    nodes += [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["asked"],
            ["odds"],
            domain="ai.onnx.ml",
            n_targets=2,
            post_transform="LOGISTIC",
            base_values=[0.0, rate],
            **ensemble_attributes(trees),
        ),
        helper.make_node("Cast", ["odds"], ["exact_odds"], to=TensorProto.DOUBLE),
        helper.make_node("Split", ["exact_odds", "halves"], ["up_if", "moves"], axis=1),
        helper.make_node("Sub", ["one", "moves"], ["flat"]),
        helper.make_node("Mul", ["moves", "up_if"], ["up"]),
        helper.make_node("Sub", ["moves", "up"], ["down"]),
        helper.make_node("Concat", ["down", "flat", "up"], [OUTPUT], axis=1),
    ]
    return bytes(_model(nodes).SerializeToString())


def fed_inputs(raw: FloatArray) -> FloatArray:
    """Return what the trees are fed: the float32 nearest to each input, as in the graph."""
    fed: FloatArray = raw.astype(np.float32).astype(np.float64)
    return fed


def _model(nodes: list[Any]) -> ModelProto:
    constants = {"signs": SIGNS, "halves": np.array([1, 1]), "one": np.array(1.0)}
    graph = helper.make_graph(
        nodes,
        "direction",
        [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, ["n", len(RAW)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_TREES)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    checker.check_model(model)
    return model
