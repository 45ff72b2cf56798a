"""The ONNX graph of the bundle: raw features in, scale-free ones, one tree ensemble, three odds.

The graph holds everything between the contract's inputs and outputs, so that training (which runs
`derived_inputs`) and serving cannot differ. Up to the trees it only adds, multiplies, divides and
compares in float64: exactly rounded, so that a row's answer does not depend on its neighbours.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from headrace.batch import FloatArray
from headrace.inference import InputField
from models.direction.trees import Tree, ensemble_attributes

RAW = (
    *(InputField(name, "double") for name in ("queue_imbalance", "spread_bps", "mid")),
    *(InputField(name, "long") for name in ("price_ticks", "bid_price_ticks", "ask_price_ticks")),
    *(InputField(name, "long") for name in ("bid_size_lots", "ask_size_lots")),
    *(InputField(name, "long") for name in ("receive_time_ns", "quote_time_ns")),
    *(InputField(name, "double") for name in ("trade_count_1s", "signed_volume_1s")),
    *(InputField(name, "double") for name in ("return_bps_1s", "realized_vol_1s", "vwap_1s")),
    InputField("ofi_1s", "double"),
)
INPUT, OUTPUT = "features", "probabilities"
OPSET, OPSET_TREES, IR_VERSION = 17, 3, 8


class Derived(NamedTuple):
    """A scale-free input of the trees.

    `sign` is -1 if the mirrored market (buyers and sellers exchanged) shows it with the other sign.
    `monotone` is +1 where more of it can only speak for up.
    """

    name: str
    sign: int
    monotone: int


DERIVED = (
    Derived("imbalance", -1, 1),  # of the best quotes' sizes
    Derived("trade_side", -1, 1),  # price from mid, in half spreads, up to SIDE_MAX
    Derived("flow", -1, 1),  # order flow imbalance of 1 s, in best quotes' sizes
    Derived("pressure", -1, 1),  # signed volume of 1 s, in best quotes' sizes
    Derived("move", -1, 0),  # return of 1 s, in half spreads
    Derived("vwap_side", -1, 0),  # volume-weighted price of 1 s from mid, in half spreads
    Derived("volatility", 1, 0),  # realized volatility of 1 s, in half spreads
    Derived("trades", 1, 0),  # of 1 s
    Derived("quote_age", 1, 0),  # in ms
)
SIGNS = np.array([derived.sign for derived in DERIVED], np.float32)

LOTS = 1e8
"""Lots in one unit of size; every market of schemas/instruments.py has this scale."""
SIDE_MAX = 3.0
RATIO_MAX = 1e6
"""Ratios to a spread that may be 0 (a locked quote) stay finite."""
BPS_FLOOR = 1e-3
"""Keeps the volatility ratio from jumping between spreads that both are next to nothing."""


def full_graph(direction: Sequence[Tree], movement: Sequence[Tree]) -> bytes:
    """Return the model: P(move) from `movement`, P(up | move) from `direction`, odd by design.

    Direction trees are asked twice, about the market and about its mirror image, and half the
    difference is taken: exchanging buyers and sellers exchanges up and down, exactly.
    """
    nodes, constants = _derive()
    count = len(DERIVED)
    nodes += [
        helper.make_node("Mul", ["derived", "signs"], ["mirrored"]),
        helper.make_node("Abs", ["derived"], ["unsigned"]),
        helper.make_node("Concat", ["derived", "mirrored", "unsigned"], ["asked"], axis=1),
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
            **ensemble_attributes(trees),
        ),
        helper.make_node("Cast", ["odds"], ["exact_odds"], to=TensorProto.DOUBLE),
        helper.make_node("Split", ["exact_odds", "halves"], ["up_if", "moves"], axis=1),
        helper.make_node("Sub", ["one", "moves"], ["flat"]),
        helper.make_node("Mul", ["moves", "up_if"], ["up"]),
        helper.make_node("Sub", ["moves", "up"], ["down"]),
        helper.make_node("Concat", ["down", "flat", "up"], [OUTPUT], axis=1),
    ]
    constants |= {"signs": SIGNS, "halves": np.array([1, 1]), "one": np.array(1.0)}
    model = _model(nodes, constants, OUTPUT, TensorProto.DOUBLE, 3)
    return bytes(model.SerializeToString())


def derived_inputs(raw: FloatArray) -> npt.NDArray[np.float32]:
    """Return what the trees are fed, from the very nodes of the graph.

    Shapes:  (n, len(RAW)) to (n, len(DERIVED)).
    """
    nodes, constants = _derive()
    model = _model(nodes, constants, "derived", TensorProto.FLOAT, len(DERIVED))
    (derived,) = ReferenceEvaluator(model).run(None, {INPUT: raw})
    return np.asarray(derived, np.float32)


def _derive() -> tuple[list[Any], dict[str, Any]]:
    """Return nodes from the tensor INPUT to `derived`, and their constants."""
    lines = """
        ticks_over = Sub ask_price_ticks bid_price_ticks
        ticks_wide = Max ticks_over one_
        twice_price = Add price_ticks price_ticks
        quote_sum = Add bid_price_ticks ask_price_ticks
        price_from_mid = Sub twice_price quote_sum
        side_ratio = Div price_from_mid ticks_wide
        trade_side = Clip side_ratio side_low side_high
        lots_quoted = Add bid_size_lots ask_size_lots
        lots_least = Max lots_quoted one_
        flow_lots = Mul ofi_1s lots
        flow = Div flow_lots lots_least
        volume_lots = Mul signed_volume_1s lots
        pressure = Div volume_lots lots_least
        half_bps = Div spread_bps two
        half_bps_least = Max half_bps tiny
        move_ratio = Div return_bps_1s half_bps_least
        move = Clip move_ratio ratio_low ratio_high
        vwap_from_mid = Sub vwap_1s mid
        vwap_part = Div vwap_from_mid mid
        vwap_bps = Mul vwap_part bps
        vwap_ratio = Div vwap_bps half_bps_least
        vwap_side = Clip vwap_ratio ratio_low ratio_high
        volatility_bps = Mul realized_vol_1s bps
        volatility_floor = Add volatility_bps bps_floor
        half_floor = Add half_bps bps_floor
        volatility = Div volatility_floor half_floor
        age_ns = Sub receive_time_ns quote_time_ns
        age_ms = Div age_ns ns_in_ms
        quote_age = Max age_ms zero
    """
    columns = [field.name for field in RAW]
    nodes = [helper.make_node("Split", [INPUT, "ones"], columns, axis=1)]
    for line in lines.strip().splitlines():
        result, _, call = line.strip().partition(" = ")
        operator, *operands = call.split()
        nodes.append(helper.make_node(operator, operands, [result]))
    names = {"imbalance": "queue_imbalance", "trades": "trade_count_1s"}
    fed = [names.get(derived.name, derived.name) for derived in DERIVED]
    nodes += [
        helper.make_node("Concat", fed, ["derived_exact"], axis=1),
        helper.make_node("Cast", ["derived_exact"], ["derived"], to=TensorProto.FLOAT),
    ]
    constants: dict[str, Any] = {
        "ones": np.ones(len(columns), np.int64),
        "one_": np.array(1.0),
        "two": np.array(2.0),
        "zero": np.array(0.0),
        "tiny": np.array(1e-9),
        "lots": np.array(LOTS),
        "bps": np.array(1e4),
        "bps_floor": np.array(BPS_FLOOR),
        "ns_in_ms": np.array(1e6),
        "side_low": np.array(-SIDE_MAX),
        "side_high": np.array(SIDE_MAX),
        "ratio_low": np.array(-RATIO_MAX),
        "ratio_high": np.array(RATIO_MAX),
    }
    return nodes, constants


def _model(
    nodes: list[Any], constants: dict[str, Any], output: str, kind: int, width: int
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "direction",
        [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, ["n", len(RAW)])],
        [helper.make_tensor_value_info(output, kind, ["n", width])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_TREES)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    checker.check_model(model)
    return model
