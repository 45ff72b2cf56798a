"""What the monitor says of predictions."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.direction.prediction import PREDICTION_SCHEMA, PROBABILITIES
from agents.monitor.prediction_watch import WATCH_BY_STREAM, PredictionWatch
from agents.monitor.sampling import SAMPLE_NS
from agents.watch_predictions import watch_predictions
from headrace.avro.schema import load_schema
from headrace.batch import Batch, Output
from headrace.state.tables import ObjectState
from schemas.topics import PREDICTION, PREDICTION_DRIFT
from tests.binance_records import SCHEMAS, part_of
from tests.examples import examples


def predictions(
    seconds: Sequence[int], *, up: float = 0.3, models: Sequence[str] = ("m",), seed: int = 1
) -> pa.RecordBatch:
    """Return predictions made at these seconds by the models in turn; up is likely about so."""
    count = len(seconds)
    random = np.random.default_rng(seed)
    chance = np.clip(random.normal(up, 0.02, count), 0.0, 0.9)
    columns: dict[str, object] = {
        field.name: np.ones(count, field.type.to_pandas_dtype())
        for field in PREDICTION_SCHEMA
        if not pa.types.is_string(field.type)
    }
    columns |= {
        "instrument": ["i"] * count,
        "source": ["s"] * count,
        "model": [models[row % len(models)] for row in range(count)],
        "sequence": np.arange(1, count + 1),
        "receive_time_ns": np.asarray(seconds, np.int64) * SAMPLE_NS,
        "probability_up": chance,
        "probability_flat": np.full(count, 0.1),
        "probability_down": 0.9 - chance,
    }
    arrays = [pa.array(columns[field.name], field.type) for field in PREDICTION_SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=PREDICTION_SCHEMA)


def watch(records: pa.RecordBatch, state: ObjectState[PredictionWatch]) -> Output:
    return watch_predictions(Batch.of(part_of(PREDICTION.name, records)), state)


def drifts(output: Output) -> pa.RecordBatch:
    return output.records[PREDICTION_DRIFT.name]


def restored(state: ObjectState[PredictionWatch]) -> ObjectState[PredictionWatch]:
    """Return the state as another worker would have it."""
    for key in list(state):
        state.edit(key)
    other = WATCH_BY_STREAM.open()
    other.restore({key: value for key, value in state.changes().items() if value is not None})
    return other


def test_columns_are_those_of_the_schema() -> None:
    found = drifts(watch(predictions([1]), WATCH_BY_STREAM.open()))

    expected = load_schema(SCHEMAS, PREDICTION_DRIFT.schema).arrow
    assert (found.schema.names, found.schema.types) == (expected.names, expected.types)


def test_predictions_that_move_are_told_with_their_model_and_new_mean() -> None:
    state = WATCH_BY_STREAM.open()
    calm = watch(predictions(range(400)), state)

    moved = drifts(watch(predictions(range(400, 600), up=0.7, seed=2), state))

    assert drifts(calm).num_rows == 0
    assert set(moved.column("probability").to_pylist()) == {"probability_up", "probability_down"}
    assert set(moved.column("model").to_pylist()) == {"m"}
    risen = [row["mean"] for row in moved.to_pylist() if row["probability"] == "probability_up"]
    assert 0.5 < max(risen) < 0.75
    assert min(moved.column("sequence").to_pylist()) < 60


def test_one_prediction_of_a_model_and_second_is_looked_at() -> None:
    output = watch(predictions([1, 1, 1, 1, 2, 2], models=("m", "n")), WATCH_BY_STREAM.open())

    assert output.counts == {"between_samples": 2}


def test_a_model_that_takes_over_is_no_drift_of_the_one_before() -> None:
    state = WATCH_BY_STREAM.open()
    watch(predictions(range(400)), state)

    after = watch(predictions(range(400, 800), up=0.7, models=("n",)), state)

    assert drifts(after).num_rows == 0
    assert len(state) == 2


@settings(max_examples=examples(20))
@given(cuts=st.sets(st.integers(1, 299), max_size=6))
def test_neither_cuts_nor_restarts_change_what_is_said(cuts: set[int]) -> None:
    calm, moved = predictions(range(150)), predictions(range(150, 300), up=0.7)
    records = pa.concat_batches([calm, moved])
    whole = drifts(watch(records, WATCH_BY_STREAM.open()))

    state = WATCH_BY_STREAM.open()
    found = []
    for first, end in pairwise([0, *sorted(cuts), records.num_rows]):
        found.append(drifts(watch(records.slice(first, end - first), state)))
        state = restored(state)

    assert whole.num_rows > 0
    assert pa.concat_batches(found).equals(whole)


def test_all_probabilities_are_watched() -> None:
    state = WATCH_BY_STREAM.open()
    watch(predictions([1]), state)

    (key,) = state
    known = state.read(key)
    assert known is not None
    assert set(known.detectors) == set(PROBABILITIES)
