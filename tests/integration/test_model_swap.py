"""A model takes over on real Kafka, by the command line, and a killed worker keeps to it."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace import Topic
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.partitioner import partitions_of
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.project import Project
from headrace.runtime.assemble import ensure_topics, load_codecs
from headrace.runtime.emission import encode_records
from headrace.servers import Servers
from headrace.settings import Settings
from schemas import topics
from tests.integration import sample_run as sample
from tests.integration.sink_records import part_of
from tests.integration.trading_run import ROOT, read_records
from tests.unit.test_contest_direction import CHALLENGER, CHAMPION
from tests.unit.test_predict_direction import changed, features
from topologies.trading_challenger import TOPOLOGY

pytestmark = pytest.mark.long

INSTRUMENTS = [f"live-test:S{number}" for number in range(24)]
"""So many that every partition has some of them."""

SECOND_NS = 10**9


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Kafka of its own: this test reads whole topics of the trading graph."""
    settings = Settings.load(home=tmp_path_factory.mktemp("servers"), kafka=None)
    with Servers(settings, only=frozenset({"kafka"})) as running:
        ensure_topics(TOPOLOGY, running.endpoints.kafka)
        yield running.endpoints.kafka


def headrace(bootstrap: str, home: Path, *words: str) -> Any:
    """Run a command, and return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", *words, "--json"],
        env={**os.environ, "HEADRACE_KAFKA": bootstrap, "HEADRACE_HOME": str(home)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def write(bootstrap: str, topic: Topic, records: pa.RecordBatch) -> None:
    registry = SchemaLog(bootstrap)
    codec = load_codecs(Project(ROOT), registry, [topic])[topic.name]
    values, keys = encode_records(records, codec)
    producer = Producer(bootstrap, "test")
    partitions = partitions_of(keys, topic.partitions)
    producer.send(topic.name, values, keys, partitions=partitions)
    producer.flush()
    registry.close()


def write_vectors(bootstrap: str, sequence: int) -> None:
    """Write a vector of each instrument, received at that second."""
    count = len(INSTRUMENTS)
    records = features(count, seed=sequence)
    for name, values in {
        "instrument": list[object](INSTRUMENTS),
        "sequence": [sequence] * count,
        "receive_time_ns": [sequence * SECOND_NS] * count,
    }.items():
        records = changed(records, name, values)
    write(bootstrap, topics.FEATURE, records)


def write_quotes(bootstrap: str, second: int) -> None:
    rows = [
        {
            "instrument": instrument,
            "receive_time_ns": second * SECOND_NS,
            "bid_price_ticks": 10**12,
            "ask_price_ticks": 2 * 10**12,
        }
        for instrument in INSTRUMENTS
    ]
    write(bootstrap, topics.QUOTE, part_of(topics.QUOTE, rows).records)


def count(bootstrap: str, name: str) -> int:
    return sum(1 for part in read_all(bootstrap, {name: 8}) for _ in part.values)


def spoke(bootstrap: str, topic: Topic, sequence: int) -> Counter[str]:
    """Return which models said how much of the vectors with this sequence, once all are."""
    expected = sequence * len(INSTRUMENTS)
    sample.wait_for(f"{topic.name}", lambda: count(bootstrap, topic.name) >= expected)
    records = read_records(bootstrap, topic)
    return Counter(each["model"] for each in records if each["sequence"] == sequence)


def wait_until_heard(bootstrap: str) -> None:
    """Wait until the worker has committed every word said so far."""

    def is_read() -> bool:
        query = OffsetQuery(bootstrap, "headrace.trading_challenger.inference")
        places = places_of_topics({topics.MODEL_CONTROL.name: 8})
        committed, ends = query.committed(places), query.ends(places)
        query.close()
        return all(committed.get(place, 0) >= end for place, end in ends.items())

    sample.wait_for("words heard", is_read)


def inferring(bootstrap: str, home: Path) -> Any:
    command = ("-m", "headrace", "worker", TOPOLOGY.name, "--step=inference", f"--project={ROOT}")
    return sample.worker(bootstrap, home, *command)


@pytest.mark.timeout(900)
def test_a_model_takes_over_by_a_word_and_a_killed_worker_keeps_to_it(
    bootstrap: str, tmp_path: Path
) -> None:
    every = len(INSTRUMENTS)
    model = ("control", TOPOLOGY.name, "model")
    with inferring(bootstrap, tmp_path / "worker") as first:
        write_vectors(bootstrap, 1)
        before = spoke(bootstrap, topics.PREDICTION, 1)
        said = headrace(bootstrap, tmp_path, *model, f"--use={CHALLENGER}")
        headrace(bootstrap, tmp_path, *model, "--use=direction.v9")
        wait_until_heard(bootstrap)
        write_vectors(bootstrap, 2)
        after = spoke(bootstrap, topics.PREDICTION, 2)
        first.end(signal.SIGKILL)
    write_vectors(bootstrap, 3)
    with inferring(bootstrap, tmp_path / "worker"):
        after_restart = spoke(bootstrap, topics.PREDICTION, 3)
        shadows = [spoke(bootstrap, topics.SHADOW, sequence) for sequence in (1, 2, 3)]
    for second in (1, 2, 4):
        write_quotes(bootstrap, second)
    letters = headrace(bootstrap, tmp_path, "dead", "list", TOPOLOGY.name)
    compare = ("model", "compare", "direction")
    compared = headrace(bootstrap, tmp_path, *compare)["scores"]
    later = headrace(bootstrap, tmp_path, *compare, "--from=1970-01-01T00:00:02")["scores"]

    assert before == {CHAMPION: every}
    assert after == after_restart == {CHALLENGER: every}
    assert shadows[0] == {CHALLENGER: every}
    assert shadows[1] == shadows[2] == {CHAMPION: every}
    assert said["partitions"] == list(range(8))
    assert [(each["cause"], each["letters"]) for each in letters] == [("model_unknown", 8)]
    assert {(each["instrument"], each["model"]) for each in compared} == {
        (instrument, name) for instrument in INSTRUMENTS for name in (CHAMPION, CHALLENGER)
    }
    assert figures(compared) == {(CHAMPION, 3, 1, 3), (CHALLENGER, 3, 2, 3)}
    assert figures(later) == {(CHAMPION, 2, 0, 2), (CHALLENGER, 2, 2, 2)}


def figures(scores: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """Return of each model how often it spoke and decided, and how many vectors are compared."""
    names = ("model", "said", "decided", "compared")
    return {tuple(score[name] for name in names) for score in scores}
