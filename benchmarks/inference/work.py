"""What is timed: the session alone, our agent, and the whole step as its chain runs it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnxruntime
import pyarrow as pa

from agents.build_features import FEATURE_VECTOR
from agents.direction.prediction import PROBABILITIES
from agents.predict_direction import predict_direction
from headrace import Batch, Part
from headrace.avro.schema import load_schema
from headrace.batch import FloatArray
from headrace.inference import MODEL_FILE, THREADS, Model
from headrace.runtime.chain import Chain, LoadedStep
from headrace.runtime.emission import TopicCodec, encode_records
from schemas.topics import FEATURE, PREDICTION
from topologies.trading import TOPOLOGY

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "models" / "direction"
SCHEMAS = ROOT / "schemas" / "avro"
SEED = 7
SCHEMA_ID = 1

Work: TypeAlias = Callable[[], object]


def works(count: int) -> Mapping[str, Work]:
    """Return what is done with a batch of so many vectors, by name: the same batch for all.

    Raises:  ValueError if our agent answers otherwise than the session alone.
    """
    model = Model.load(BUNDLE)
    records = vectors(count, [field.name for field in model.contract.inputs])
    fed = np.column_stack([records.column(field.name) for field in model.contract.inputs])
    names, feed = [model.contract.output], {model.contract.input: fed}
    session, threaded = session_of(THREADS), session_of(0)
    chain = inference_chain(model)
    part = part_of(records)
    batch = Batch.of(part)
    require_same(session.run(names, feed)[0], predict_direction(batch, model).records, model)
    return {
        "bare": lambda: session.run(names, feed),
        "bare-threads": lambda: threaded.run(names, feed),
        "agent": lambda: predict_direction(batch, model),
        "chain": lambda: [draft.emission for draft in chain.process([part], 0.0).drafts],
    }


def session_of(threads: int) -> onnxruntime.InferenceSession:
    """Return onnxruntime's session on the model; 0 threads: as many as it chooses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin after a call would do so while it is the next one's turn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(
        BUNDLE / MODEL_FILE, sess_options=options, providers=providers
    )


def vectors(count: int, inputs: list[str]) -> pa.RecordBatch:
    """Return feature vectors with valid quotes, all different."""
    random = np.random.default_rng(SEED)
    columns: dict[str, pa.Array] = {}
    for field in FEATURE_VECTOR:
        if pa.types.is_string(field.type):
            values = pa.array(["binance-spot:BTCUSDT"] * count)
        elif pa.types.is_boolean(field.type):
            values = pa.array(np.ones(count, bool))
        elif field.name in inputs or pa.types.is_floating(field.type):
            values = pa.array(random.uniform(0, 1, count))
        else:
            values = pa.array(random.integers(1, 10**9, count))
        columns[field.name] = values.cast(field.type)
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=FEATURE_VECTOR)


def part_of(records: pa.RecordBatch) -> Part:
    """Return vectors as the step reads them."""
    count = records.num_rows
    schema = load_schema(SCHEMAS, FEATURE.schema)
    values, keys = encode_records(records, TopicCodec(FEATURE, schema, SCHEMA_ID))
    stamps = np.zeros(count, np.int64)
    return Part(FEATURE.name, 0, records, values, keys, np.arange(count), stamps)


def inference_chain(model: Model) -> Chain:
    """Return the step as a worker has it, alone in its chain: its output is encoded, with keys."""
    codecs = {
        topic.name: TopicCodec(topic, load_schema(SCHEMAS, topic.schema), SCHEMA_ID)
        for topic in (FEATURE, PREDICTION)
    }
    return Chain([LoadedStep(TOPOLOGY.step("inference"), codecs, {"model": model})], 0)


def require_same(bare: FloatArray, ours: Mapping[str, pa.RecordBatch], model: Model) -> None:
    """Require of the agent the answers of the session.

    Raises:  ValueError.
    """
    for name in PROBABILITIES:
        expected = np.asarray(bare)[:, model.contract.outputs.index(name)]
        found = ours[PREDICTION.name].column(name).to_numpy()
        if not np.array_equal(found, expected):
            raise ValueError(f"{name}: expected what onnxruntime answers, found something else")
