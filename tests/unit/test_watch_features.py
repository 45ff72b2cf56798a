"""What the monitor says of feature vectors."""

import pickle
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.monitor.sampling import SAMPLE_NS
from agents.monitor.watch import FEATURES, WARM_SAMPLES, WATCH_BY_STREAM, Watch
from agents.watch_features import watch_features
from headrace.avro.schema import load_schema
from headrace.batch import Batch, Output, Part
from headrace.errors import InvariantError, RecordError
from headrace.online import PickleCodec
from headrace.state.tables import ObjectState
from schemas.topics import ANOMALY, DRIFT, FEATURE
from tests.examples import examples
from tests.repository_files import ROOT

SCHEMA = load_schema(ROOT / "schemas" / "avro", FEATURE.schema).arrow


def vectors(
    seconds: Sequence[int], *, seed: int = 1, shift: float = 0.0, instruments: int = 1
) -> pa.RecordBatch:
    """Return vectors received at these seconds; values are drawn around `shift`."""
    random = np.random.default_rng(seed)
    count = len(seconds)
    columns = {}
    for field in SCHEMA:
        if pa.types.is_floating(field.type):
            columns[field.name] = pa.array(random.normal(shift, 1.0, count))
        elif pa.types.is_boolean(field.type):
            columns[field.name] = pa.array([True] * count)
        elif pa.types.is_string(field.type):
            columns[field.name] = pa.array(["s"] * count)
        else:
            columns[field.name] = pa.array(np.arange(1, count + 1), field.type)
    columns["instrument"] = pa.array([f"i{row % instruments}" for row in range(count)])
    columns["receive_time_ns"] = pa.array(np.asarray(seconds, np.int64) * SAMPLE_NS)
    return pa.record_batch(columns, schema=SCHEMA)


def watch(records: pa.RecordBatch, state: ObjectState[Watch]) -> Output:
    none = np.zeros(records.num_rows, np.int64)
    empty = [b""] * records.num_rows
    return watch_features(Batch.of(Part(FEATURE.name, 0, records, empty, empty, none, none)), state)


def restored(state: ObjectState[Watch]) -> ObjectState[Watch]:
    """Return the state as another worker would have it."""
    pages = {key: value for key, value in state.changes().items() if value is not None}
    other = WATCH_BY_STREAM.open()
    other.restore(pages)
    return other


def test_one_vector_a_second_is_scored() -> None:
    output = watch(vectors([1, 1, 2, 2, 2, 4]), WATCH_BY_STREAM.open())

    assert output.records[ANOMALY.name].column("sequence").to_pylist() == [1, 3, 6]
    assert output.causes[ANOMALY.name].tolist() == [0, 2, 5]
    assert output.counts == {"not_finite": 0, "between_samples": 3}


def test_a_vector_that_is_not_finite_is_no_sample_of_its_second() -> None:
    records = vectors([1, 1])
    spoiled = pa.array([float("nan"), 0.5])
    place = records.schema.get_field_index(FEATURES[0])
    records = records.set_column(place, records.schema.field(place), spoiled)

    output = watch(records, WATCH_BY_STREAM.open())

    assert output.records[ANOMALY.name].column("sequence").to_pylist() == [2]
    assert output.counts["not_finite"] == 1


def test_a_vector_unlike_all_before_is_an_anomaly_once_the_stream_is_known() -> None:
    state = WATCH_BY_STREAM.open()
    known = watch(vectors(range(WARM_SAMPLES)), state)
    assert not any(known.records[ANOMALY.name].column("is_anomaly").to_pylist())
    watch(vectors(range(WARM_SAMPLES, 400), seed=2), state)

    odd = watch(vectors([400], shift=9.0), state)

    assert odd.records[ANOMALY.name].column("is_anomaly").to_pylist() == [True]


def test_a_feature_whose_mean_moves_is_told_with_its_new_mean() -> None:
    state = WATCH_BY_STREAM.open()
    calm = watch(vectors(range(400)), state)
    moved = watch(vectors(range(400, 800), seed=3, shift=4.0), state)

    assert calm.records[DRIFT.name].num_rows == 0
    drifts = moved.records[DRIFT.name]
    assert set(drifts.column("feature").to_pylist()) == set(FEATURES)
    assert max(drifts.column("mean").to_pylist()) > 1.0
    assert min(drifts.column("sequence").to_pylist()) < 120


@settings(max_examples=examples(20))
@given(cuts=st.sets(st.integers(1, 239), max_size=6), seed=st.integers(0, 9))
def test_neither_cuts_nor_restarts_change_what_is_said(cuts: set[int], seed: int) -> None:
    seconds = np.sort(np.random.default_rng(seed).integers(0, 150, 240)).tolist()
    records = vectors(seconds, seed=seed, instruments=2)
    whole = watch(records, WATCH_BY_STREAM.open())

    state = WATCH_BY_STREAM.open()
    bounds = [0, *sorted(cuts), records.num_rows]
    found = []
    for first, end in pairwise(bounds):
        found.append(watch(records.slice(first, end - first), state))
        state = _with_all(state)

    for topic in (ANOMALY.name, DRIFT.name):
        parts = [output.records[topic] for output in found]
        assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([whole.records[topic]]))


def _with_all(state: ObjectState[Watch]) -> ObjectState[Watch]:
    """Return the state restored; of streams that did not change as well."""
    for key in list(state):
        state.edit(key)
    return restored(state)


def test_state_that_holds_another_class_is_refused() -> None:
    class Loud:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("called",)

    codec = WATCH_BY_STREAM.codec
    page = codec.dump(Watch())[0]
    assert page is not None
    version = page.partition(b"\n")[0]
    spoiled = {("key", 0): version + b"\n" + pickle.dumps(Loud())}

    with pytest.raises(InvariantError, match=r"found builtins\.print"):
        WATCH_BY_STREAM.open().restore(spoiled)


def test_state_of_another_version_is_refused() -> None:
    codec: PickleCodec[dict[str, int]] = PickleCodec(lambda _: {}, frozenset())

    with pytest.raises(RecordError, match=r"found 0\.1: install that"):
        codec.load("key", {0: b"0.1\n" + pickle.dumps({})})
