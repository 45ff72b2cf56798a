"""Predictions from feature vectors: which rows get one, and that neighbours do not matter."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from agents.build_features import FEATURE_VECTOR
from agents.direction.prediction import PREDICTION_SCHEMA
from agents.predict_direction import predict_direction
from headrace import Batch, Output
from headrace.avro.schema import load_schema
from headrace.inference import Model
from tests.binance_records import SCHEMAS, part_of

BUNDLE = Path(__file__).parents[2] / "models" / "direction"
FloatArray = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(BUNDLE)


class NotANumber(Model):
    """A model that answers NaN for its second row."""

    def run(self, inputs: FloatArray) -> FloatArray:
        answers = super().run(inputs)
        answers[1] = np.nan
        return answers


def features(count: int, seed: int = 3) -> pa.RecordBatch:
    """Return plausible feature vectors, all different."""
    generator = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    for field in FEATURE_VECTOR:
        if field.type == pa.float64():
            columns[field.name] = generator.normal(0.0, 2.0, count)
        elif field.type == pa.int64():
            columns[field.name] = generator.integers(1, 10**9, count)
    bid = generator.integers(10**12, 2 * 10**12, count)
    spread = generator.integers(0, 10**8, count)
    columns |= {
        "instrument": ["binance-spot:BTCUSDT"] * count,
        "source": ["recording"] * count,
        "sequence": np.arange(1, count + 1),
        "quote_valid": np.ones(count, bool),
        "book_valid": np.ones(count, bool),
        "bid_price_ticks": bid,
        "ask_price_ticks": bid + spread,
        "price_ticks": bid + generator.integers(-1, 2, count) * spread,
        "mid": (bid + spread / 2) / 1e8,
        "spread_bps": 1e4 * spread / bid,
        "queue_imbalance": generator.uniform(-1, 1, count),
        "trade_count_1s": generator.integers(1, 500, count).astype(float),
        "realized_vol_1s": generator.uniform(0, 1e-3, count),
        "realized_vol_10s": generator.uniform(0, 1e-3, count),
        "aggressor_sign": generator.choice([-1.0, 0.0, 1.0], count),
        "trade_imbalance_1s": generator.uniform(-1, 1, count),
    }
    return pa.RecordBatch.from_arrays(
        [pa.array(columns[name]) for name in FEATURE_VECTOR.names], schema=FEATURE_VECTOR
    )


def changed(records: pa.RecordBatch, name: str, values: list[object]) -> pa.RecordBatch:
    index = records.schema.get_field_index(name)
    field = records.schema.field(index)
    return records.set_column(index, field, pa.array(values, field.type))


def predict(records: pa.RecordBatch, model: Model) -> Output:
    return predict_direction(Batch.of(part_of("feature.vector.v1", records)), model)


def chances(records: pa.RecordBatch) -> FloatArray:
    names = ("probability_down", "probability_flat", "probability_up")
    return np.column_stack([records.column(name).to_numpy() for name in names])


def test_columns_are_those_of_the_schema() -> None:
    assert load_schema(SCHEMAS, "prediction.v1").arrow == PREDICTION_SCHEMA


def test_each_vector_gets_a_prediction_that_names_its_trade_and_quote(model: Model) -> None:
    records = features(50)

    output = predict(records, model)

    found = output.records["signal.prediction.v1"]
    assert found.column("sequence").to_pylist() == list(range(1, 51))
    assert found.column("bid_size_lots").equals(records.column("bid_size_lots"))
    assert set(found.column("model").to_pylist()) == {"direction.v1"}
    assert set(found.column("horizon_ns").to_pylist()) == {10**9}
    np.testing.assert_allclose(chances(found).sum(axis=1), 1.0, rtol=1e-12)
    assert not output.dead
    assert not output.counts


@pytest.mark.parametrize("counts", [(1, 3, 1), (2, 0, 2)])
def test_every_batch_is_as_long_as_its_records_and_of_the_topics_columns(
    model: Model, counts: tuple[int, ...]
) -> None:
    """The model keeps what it gave for the batch before."""
    for count in counts:
        output = predict(features(count), model)

        made = output.records.get("signal.prediction.v1", PREDICTION_SCHEMA.empty_table())
        assert made.schema.equals(PREDICTION_SCHEMA, check_metadata=True)
        assert made.column("model").to_pylist() == [model.name] * count
        assert made.column("horizon_ns").to_pylist() == [model.contract.horizon_ns] * count


def test_an_invalid_quote_is_skipped_and_counted(model: Model) -> None:
    records = changed(features(3), "quote_valid", [True, False, True])
    records = changed(records, "mid", [1.0, float("nan"), 1.0])

    output = predict(records, model)

    assert output.counts == {"prediction_skipped_invalid_quote": 1}
    assert output.records["signal.prediction.v1"].column("sequence").to_pylist() == [1, 3]
    assert output.causes["signal.prediction.v1"].tolist() == [0, 2]
    assert not output.dead


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_feature_that_is_not_finite_is_dead_and_its_neighbours_live(
    model: Model, value: float
) -> None:
    records = features(3)
    taken = records.column("trade_imbalance_1s").to_pylist()

    values: list[object] = [taken[0], value, taken[2]]
    output = predict(changed(records, "trade_imbalance_1s", values), model)

    (dead,) = output.dead
    assert (dead.row, dead.cause) == (1, "nan_feature")
    assert dead.detail.startswith("trade_imbalance_1s: expected a finite number")
    found = chances(output.records["signal.prediction.v1"])
    np.testing.assert_array_equal(found, model.predict(records)[[0, 2]])


def test_an_answer_that_is_not_finite_is_dead() -> None:
    records = changed(features(4), "quote_valid", [False, True, True, True])
    model = NotANumber.load(BUNDLE)

    output = predict(records, model)

    assert [(dead.row, dead.cause) for dead in output.dead] == [(2, "nan_prediction")]
    assert output.records["signal.prediction.v1"].column("sequence").to_pylist() == [2, 4]


def test_an_empty_batch_gives_nothing(model: Model) -> None:
    assert not predict(features(0), model).records


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1_000])
def test_answers_do_not_depend_on_the_batch(model: Model, size: int) -> None:
    records = features(2_000)

    whole = model.predict(records)
    cut = [model.predict(records.slice(start, size)) for start in range(0, 2_000, size)]

    assert np.concatenate(cut).tobytes() == whole.tobytes()


def test_exchanging_buyers_and_sellers_exchanges_up_and_down(model: Model) -> None:
    """What differs is the rounding of the trees' float32 sums."""
    base = features(1)
    values = {
        "queue_imbalance": (0.5, -0.5),
        "aggressor_sign": (1.0, -1.0),
        "trade_imbalance_1s": (-0.25, 0.25),
    }
    here, mirrored = base, base
    for name, (left, right) in values.items():
        here, mirrored = changed(here, name, [left]), changed(mirrored, name, [right])

    (down, flat, up), (down_, flat_, up_) = model.predict(here)[0], model.predict(mirrored)[0]

    assert flat == flat_
    assert (down, up) == pytest.approx((up_, down_), rel=1e-4)
    assert up != down
