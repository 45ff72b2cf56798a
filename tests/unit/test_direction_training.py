"""The parts of training that can be proved by hand: labels, trees, scores."""

import lightgbm
import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from models.direction.evaluate import roc_auc
from models.direction.examples import DOWN, FLAT, UP, labelled
from models.direction.trees import ensemble_attributes, trees_of

SECOND = 10**9


def tables(
    quotes: list[tuple[float, int, int]], trades: list[tuple[float, int, int, bool]]
) -> dict[str, pa.Table]:
    """Return quotes (time, bid, ask) and feature vectors (time, bid, ask, valid)."""
    return {
        "market.quote.v1": pa.table(
            {
                "instrument": ["X"] * len(quotes),
                "receive_time_ns": [round(time * SECOND) for time, *_ in quotes],
                "bid_price_ticks": [bid for _, bid, _ in quotes],
                "ask_price_ticks": [ask for *_, ask in quotes],
            }
        ),
        "feature.vector.v1": pa.table(
            {
                "instrument": ["X"] * len(trades),
                "receive_time_ns": [round(time * SECOND) for time, *_ in trades],
                "bid_price_ticks": [bid for _, bid, *_ in trades],
                "ask_price_ticks": [ask for _, _, ask, _ in trades],
                "quote_valid": [valid for *_, valid in trades],
            }
        ),
    }


def test_the_label_is_of_the_last_quote_up_to_a_second_later() -> None:
    quotes = [(0, 10, 12), (1.5, 10, 14), (2.0, 8, 10), (3.0, 8, 10), (9, 8, 10)]
    trades = [
        (0.4, 10, 12, True),  # before the change: flat
        (0.5, 10, 12, True),  # the change comes at exactly a second: up
        (1.0, 10, 12, True),  # two changes by then, the last counts: down
        (2.5, 8, 10, True),
    ]

    (examples,) = labelled(tables(quotes, trades))

    assert examples.labels.tolist() == [FLAT, UP, DOWN, FLAT]


def test_what_has_no_label_is_left_out() -> None:
    quotes = [(0, 10, 12), (1.0, 13, 11), (2.0, 10, 12)]
    trades = [
        (0.2, 10, 12, True),  # the quote a second later is crossed
        (0.9, 10, 12, False),  # no valid quote now
        (1.0, 10, 12, True),  # the only one
        (1.1, 10, 12, True),  # the recording ends before a second has passed
    ]

    (examples,) = labelled(tables(quotes, trades))

    assert examples.times_ns.tolist() == [SECOND]


def test_an_early_part_does_not_look_into_the_late_one() -> None:
    quotes = [(float(time), 10, 12) for time in range(12)]
    trades = [(time / 2, 10, 12, True) for time in range(21)]

    (examples,) = labelled(tables(quotes, trades))
    early, late = examples.between(0.0, 0.6), examples.between(0.6, 1.0)

    assert early.times_ns.max() + 1.5 * SECOND <= late.times_ns.min()
    assert late.times_ns.max() == examples.times_ns.max()


def test_trees_answer_as_the_booster_does_to_the_last_split() -> None:
    generator = np.random.default_rng(11)
    fed = generator.normal(size=(4_000, 3)).astype(np.float32).astype(np.float64)
    truth = (fed[:, 0] + fed[:, 1] * fed[:, 2] > 0).astype(np.float64)
    settings = {"objective": "binary", "verbose": -1, "min_data_in_leaf": 5, "seed": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(fed, truth), num_boost_round=20)

    trees = [tree.placed(target=0, shift=0, factor=1.0) for tree in trees_of(booster, (2, 0, 1))]
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        **ensemble_attributes(trees),
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    found = run(helper.make_model(graph, opset_imports=opsets), fed[:500, [1, 2, 0]])

    wanted = booster.predict(fed[:500], raw_score=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def run(model: onnx.ModelProto, fed: np.ndarray) -> np.ndarray:
    (found,) = ReferenceEvaluator(model).run(None, {"x": fed.astype(np.float32)})
    return np.asarray(found)[:, 0]


@pytest.mark.parametrize(
    ("scores", "truths", "area"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([1, 1, 1, 1], [0, 1, 0, 1], 0.5),
        ([1, 2, 2, 3], [0, 0, 1, 1], 0.875),
    ],
)
def test_roc_auc_counts_pairs(scores: list[float], truths: list[int], area: float) -> None:
    assert roc_auc(np.array(scores, float), np.array(truths, bool)) == area
