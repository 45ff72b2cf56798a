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
    *(
        InputField(name, "long")
        for name in (
            *("price_ticks", "size_lots", "receive_time_ns", "quote_time_ns"),
            *("bid_price_ticks", "bid_size_lots", "ask_price_ticks", "ask_size_lots"),
        )
    ),
    *(
        InputField(name, "double")
        for name in (
            *("trade_count_1s", "signed_volume_1s", "signed_volume_10s", "signed_volume_60s"),
            *("return_bps_1s", "return_bps_10s", "return_bps_60s", "vwap_1s", "vwap_10s"),
            *("realized_vol_1s", "realized_vol_10s", "ofi_1s", "ofi_10s"),
        )
    ),
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
    Derived("flow_1s", -1, 0),  # order flow imbalance, in best quotes' sizes
    Derived("flow_10s", -1, 0),
    Derived("drift_1s", -1, 0),  # return in realized volatilities
    Derived("drift_10s", -1, 0),
    Derived("move_1s", -1, 0),  # return in half spreads
    Derived("move_10s", -1, 0),
    Derived("side", -1, 0),  # price from mid in half spreads, up to SIDE_MAX
    Derived("take", -1, 0),  # size in sizes of the queue it hit, up to SIDE_MAX
    Derived("pressure", -1, 0),  # signed volume of 1 s, in best quotes' sizes
    Derived("vwap_moves_1s", -1, 0),  # vwap from mid in half spreads
    Derived("vwap_moves_10s", -1, 0),
    Derived("vwap_drifts_1s", -1, 0),  # vwap from mid in realized volatilities, up to DRIFT_MAX
    Derived("vwap_drifts_10s", -1, 0),
    Derived("volatility", 1, 0),  # realized, of 1 s, in half spreads
    Derived("trades", 1, 0),  # of 1 s
    Derived("quote_age", 1, 0),  # in ms
    Derived("agree_10s", 1, 0),  # whether trades' signs told the price's direction: -1, 0, 1
    Derived("agree_60s", 1, 0),
)
DIRECTION = tuple(range(len(DERIVED)))
"""What decides between up and down."""
MOVEMENT = tuple(
    place
    for place, derived in enumerate(DERIVED)
    if derived.name
    in {
        *("imbalance", "side", "flow_1s", "pressure", "drift_1s", "vwap_drifts_1s"),
        *("trades", "quote_age"),
    }
)
"""What decides whether mid moves at all, without its sign: fewer, for the rate of moves differs
from session to session more than their direction does."""
SIGNS = np.array([derived.sign for derived in DERIVED], np.float32)

LOTS = 1e8
"""Lots in one unit of size; every market of schemas/instruments.py has this scale."""
SIDE_MAX = 3.0
DRIFT_MAX = 9.0
RATIO_MAX = 1e6
"""Ratios to a spread that may be 0 (a locked quote) stay finite."""
BPS_FLOOR = 1e-3
"""Keeps the volatility ratio from jumping between spreads that both are next to nothing."""


RECIPE = """
    ticks_over = Sub ask_price_ticks bid_price_ticks
    ticks_wide = Max ticks_over one_
    twice_price = Add price_ticks price_ticks
    quote_sum = Add bid_price_ticks ask_price_ticks
    price_from_mid = Sub twice_price quote_sum
    side_ratio = Div price_from_mid ticks_wide
    side = Clip side_ratio side_low side_high
    trade_sign = Sign price_from_mid
    bought = Max trade_sign zero
    ask_over = Sub ask_size_lots bid_size_lots
    ask_part = Mul bought ask_over
    queue = Add bid_size_lots ask_part
    queue_least = Max queue one_
    take_ratio = Div size_lots queue_least
    take_size = Min take_ratio side_high
    take = Mul trade_sign take_size
    lots_quoted = Add bid_size_lots ask_size_lots
    lots_least = Max lots_quoted one_
    flow_lots_1s = Mul ofi_1s lots
    flow_1s = Div flow_lots_1s lots_least
    flow_lots_10s = Mul ofi_10s lots
    flow_10s = Div flow_lots_10s lots_least
    volume_lots = Mul signed_volume_1s lots
    pressure = Div volume_lots lots_least
    half_bps = Div spread_bps two
    half_bps_least = Max half_bps tiny
    move_ratio_1s = Div return_bps_1s half_bps_least
    move_1s = Clip move_ratio_1s ratio_low ratio_high
    move_ratio_10s = Div return_bps_10s half_bps_least
    move_10s = Clip move_ratio_10s ratio_low ratio_high
    volatility_1s = Mul realized_vol_1s bps
    volatility_10s = Mul realized_vol_10s bps
    volatility_least_1s = Max volatility_1s tiny
    volatility_least_10s = Max volatility_10s tiny
    drift_1s = Div return_bps_1s volatility_least_1s
    drift_10s = Div return_bps_10s volatility_least_10s
    vwap_from_mid_1s = Sub vwap_1s mid
    vwap_part_1s = Div vwap_from_mid_1s mid
    vwap_bps_1s = Mul vwap_part_1s bps
    vwap_ratio_1s = Div vwap_bps_1s half_bps_least
    vwap_moves_1s = Clip vwap_ratio_1s ratio_low ratio_high
    vwap_from_mid_10s = Sub vwap_10s mid
    vwap_part_10s = Div vwap_from_mid_10s mid
    vwap_bps_10s = Mul vwap_part_10s bps
    vwap_ratio_10s = Div vwap_bps_10s half_bps_least
    vwap_moves_10s = Clip vwap_ratio_10s ratio_low ratio_high
    volatility_floor_1s = Add volatility_1s bps_floor
    volatility_floor_10s = Add volatility_10s bps_floor
    vwap_drift_1s = Div vwap_bps_1s volatility_floor_1s
    vwap_drifts_1s = Clip vwap_drift_1s drift_low drift_high
    vwap_drift_10s = Div vwap_bps_10s volatility_floor_10s
    vwap_drifts_10s = Clip vwap_drift_10s drift_low drift_high
    half_floor = Add half_bps bps_floor
    volatility = Div volatility_floor_1s half_floor
    age_ns = Sub receive_time_ns quote_time_ns
    age_ms = Div age_ns ns_in_ms
    quote_age = Max age_ms zero
    told_10s = Mul signed_volume_10s return_bps_10s
    agree_10s = Sign told_10s
    told_60s = Mul signed_volume_60s return_bps_60s
    agree_60s = Sign told_60s
"""
"""A node a line: result = operator operands."""


def full_graph(direction: Sequence[Tree], movement: Sequence[Tree], rate: float) -> bytes:
    """Return the model: P(move) from `movement`, P(up | move) from `direction`, odd by design.

    `rate` is added to the log odds of a move.

    Direction trees are asked twice, about the market and about its mirror image, and half the
    difference is taken: exchanging buyers and sellers exchanges up and down.
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
    columns = [field.name for field in RAW]
    nodes = [helper.make_node("Split", [INPUT, "ones"], columns, axis=1)]
    for line in RECIPE.strip().splitlines():
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
        "drift_low": np.array(-DRIFT_MAX),
        "drift_high": np.array(DRIFT_MAX),
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
