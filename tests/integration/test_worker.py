"""A worker on real Kafka: what it reads, remembers, writes and survives."""

import shutil
import signal
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from headrace.avro.schema import load_schema
from headrace.kafka.admin import Admin
from headrace.kafka.producer import Producer
from headrace.kafka.schema_log import SCHEMAS_TOPIC, SchemaLog
from headrace.project import Project
from headrace.runtime.topics import plans
from headrace.servers import Servers
from headrace.servers.registry import RegistryServer
from headrace.topology import Topology
from tests.integration import sample_run as sample
from tests.sample_project import as_only_project


@pytest.fixture
def bootstrap(own_servers: Servers) -> str:
    address = own_servers.endpoints.kafka
    Admin(address).ensure(plans(vwap_topology()))
    return address


def vwap_topology() -> Topology:
    with as_only_project():
        return Project(sample.PROJECT).topology("vwap")


def last_trades(bootstrap: str) -> dict[str, int]:
    """Return the highest count of trades the worker wrote for each symbol."""
    found: dict[str, int] = {}
    for row in sample.read_vwaps(bootstrap):
        found[row["symbol"]] = max(found.get(row["symbol"], 0), row["trades"])
    return found


def expected_trades(count: int) -> dict[str, int]:
    return {f"S{n}": len(range(n, count, 7)) for n in range(7)}


def test_state_survives_a_stop_a_crash_and_the_loss_of_its_disk(
    bootstrap: str, tmp_path: Path
) -> None:
    sample.send_ticks(bootstrap, sample.ticks(1_000))
    with sample.worker(bootstrap, tmp_path / "a") as first:
        sample.wait_for("first ticks done", lambda: sample.lag(bootstrap) == 0)
        assert first.end(signal.SIGTERM) == 0
    sample.send_ticks(bootstrap, sample.ticks(1_000, first=1_000))
    with sample.worker(bootstrap, tmp_path / "a") as second:
        sample.wait_for("second ticks done", lambda: sample.lag(bootstrap) == 0)
        second.end(signal.SIGKILL)
    shutil.rmtree(tmp_path / "a")
    sample.send_ticks(bootstrap, sample.ticks(1_000, first=2_000))

    with sample.worker(bootstrap, tmp_path / "b") as third:
        sample.wait_for("third ticks done", lambda: sample.lag(bootstrap) == 0)
        assert third.end(signal.SIGTERM) == 0

    assert last_trades(bootstrap) == expected_trades(3_000)


def test_a_killed_broker_loses_and_doubles_nothing(
    own_servers: Servers, bootstrap: str, tmp_path: Path
) -> None:
    with sample.worker(bootstrap, tmp_path) as running:
        running.wait_until_ready()
        sample.send_ticks(bootstrap, sample.ticks(2_000))
        own_servers.kill("kafka")
        sample.send_ticks(bootstrap, sample.ticks(2_000, first=2_000))
        sample.wait_for("all ticks done", lambda: sample.lag(bootstrap) == 0)
        assert running.end(signal.SIGTERM) == 0

    assert last_trades(bootstrap) == expected_trades(4_000)
    assert len(sample.read_vwaps(bootstrap)) == 4_000


def test_records_that_are_none_go_to_the_dead_letters_with_their_cause(
    bootstrap: str, tmp_path: Path
) -> None:
    bad = {
        b"no avro": b"\x00\x00\x00\x00\x01\xff",
        b"no frame": b"{}",
        b"no schema": b"\x00\x00\x00\xff\xff\x00",
    }
    sample.send_ticks(bootstrap, sample.ticks(10))
    producer = Producer(bootstrap, "test")
    producer.send(sample.TICK_TOPIC, list(bad.values()), list(bad))
    producer.flush()
    zero = sample.ticks(1).set_column(2, "size_lots", pa.array([0]))
    sample.send_ticks(bootstrap, zero, headers=[[("trace", b"t1")]])
    sample.send_ticks(bootstrap, sample.ticks(10, first=10))

    with sample.worker(bootstrap, tmp_path) as running:
        sample.wait_for("all ticks done", lambda: sample.lag(bootstrap) == 0)
        stats = running.get("/headrace/stats/").json()

    letters = sample.read_topic(bootstrap, f"{sample.TICK_TOPIC}.dead")
    causes = {key: dict(headers)["headrace-cause"] for key, _, headers in letters}
    assert causes == {
        b"no avro": b"not_avro",
        b"no frame": b"not_confluent_framed",
        b"no schema": b"unknown_schema_id",
        b"S0": b"no_size",
    }
    assert {key: value for key, value, _ in letters if key in bad} == bad
    assert dict(next(h for k, _, h in letters if k == b"S0"))["trace"] == b"t1"
    assert stats["steps"]["vwap"]["dead_letters"] == 4
    assert len(sample.read_vwaps(bootstrap)) == 20


def test_headers_follow_the_record_they_came_with(bootstrap: str, tmp_path: Path) -> None:
    sample.send_ticks(
        bootstrap, sample.ticks(3, symbols=1), headers=[[("n", b"0")], [], [("n", b"2")]]
    )

    with sample.worker(bootstrap, tmp_path):
        sample.wait_for("all ticks done", lambda: sample.lag(bootstrap) == 0)

    written = sample.read_topic(bootstrap, sample.VWAP_TOPIC)
    assert [list(headers) for _, _, headers in written] == [[("n", b"0")], [], [("n", b"2")]]
    assert [key for key, _, _ in written] == [b"S0"] * 3


def test_faust_runs_it_and_serves_its_web_and_metrics(bootstrap: str, tmp_path: Path) -> None:
    sample.send_ticks(bootstrap, sample.ticks(50))
    command = ("-m", "faust", "-A", "headrace.faust_app:vwap", "worker", "-l", "warn")

    with sample.worker(bootstrap, tmp_path, *command) as running:
        running.wait_until_ready()
        sample.wait_for("all ticks done", lambda: sample.lag(bootstrap) == 0)
        metrics = running.get("/metrics").text
        assert running.end(signal.SIGTERM) == 0

    assert 'headrace_step_records_in_total{step="vwap"} 50.0' in metrics


def test_any_confluent_client_reads_the_topics(bootstrap: str, tmp_path: Path) -> None:
    sample.send_ticks(bootstrap, sample.ticks(20))
    with sample.worker(bootstrap, tmp_path):
        sample.wait_for("all ticks done", lambda: sample.lag(bootstrap) == 0)

    with RegistryServer(bootstrap) as registry, SchemaRegistryClient({"url": registry.url}) as api:
        deserialize = AvroDeserializer(api)
        context = SerializationContext(sample.VWAP_TOPIC, MessageField.VALUE)
        rows = [
            deserialize(value, context)
            for _, value, _ in sample.read_topic(bootstrap, sample.VWAP_TOPIC)
        ]
        latest = api.get_latest_version(f"{sample.VWAP_TOPIC}-value")

    assert rows == sample.read_vwaps(bootstrap)
    assert latest.version == 1


def test_the_registry_tells_of_what_is_registered_while_it_serves_and_of_nothing_unreadable(
    bootstrap: str,
) -> None:
    schema = load_schema(Path("schemas/avro"), "trade.v1")
    with RegistryServer(bootstrap) as registry, SchemaRegistryClient({"url": registry.url}) as api:
        other = Producer(bootstrap, "other")
        other.send(SCHEMAS_TOPIC, [b"{}", b"no"], [b'{"keytype":"SCHEMA"}', b"no"])
        other.flush()
        log = SchemaLog(bootstrap)
        log.register("late-value", schema)
        log.close()
        sample.wait_for("the late subject", lambda: "late-value" in api.get_subjects())
