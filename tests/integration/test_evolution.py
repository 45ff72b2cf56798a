"""Schemas and tables that change while their topics stay: old and new code on real Kafka."""

import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from typer.testing import CliRunner

from headrace.avro.registry import subject_of
from headrace.avro.schema import load_schema, parse_schema
from headrace.avro.wire import Decoder, encode
from headrace.checks.project import record_schemas
from headrace.cli.check import app as check
from headrace.kafka.admin import Admin
from headrace.kafka.offsets import OffsetQuery
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.project import Project
from headrace.runtime.topics import plans
from headrace.servers import Servers
from headrace.servers.registry import RegistryServer
from tests.integration import sample_run as sample
from tests.integration.evolving_project import (
    ECHOES,
    SYMBOL,
    TICK_V1,
    TICK_V2,
    TICKS,
    lay_down,
    record,
)
from tests.sample_project import as_only_project

pytestmark = pytest.mark.long

GROUP = "headrace.evolving.echo"


@pytest.fixture
def bootstrap(own_servers: Servers, tmp_path: Path) -> str:
    address = own_servers.endpoints.kafka
    folder = lay_down(tmp_path / "topics", TICK_V1)
    with as_only_project():
        Admin(address).ensure(plans(Project(folder).topology("evolving")))
    return address


def ours(bootstrap: str, tick: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return rows as headrace writes them, under a schema it has registered."""
    schema = parse_schema(record("Tick", *tick), "test")
    registry = SchemaLog(bootstrap)
    schema_id = registry.register(subject_of(TICKS), schema)
    registry.close()
    return list(encode(pa.RecordBatch.from_pylist(rows, schema.arrow), schema, schema_id))


def theirs(bootstrap: str, tick: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return rows as Confluent's serializer writes them, with an id from the registry's API."""
    with RegistryServer(bootstrap) as registry, SchemaRegistryClient({"url": registry.url}) as api:
        serialize = AvroSerializer(api, record("Tick", *tick))
        context = SerializationContext(TICKS, MessageField.VALUE)
        return [serialize(dict(row), context) for row in rows]


def send_in_turn(bootstrap: str, *values: Sequence[bytes]) -> None:
    """Write records to the one partition of the topic, each list by a producer of its own."""
    producers = [Producer(bootstrap, f"test-{number}") for number, _ in enumerate(values)]
    for turn in zip(*values, strict=True):
        for producer, value in zip(producers, turn, strict=True):
            producer.send(TICKS, [value], [b"S"])
            producer.flush()


def ticks(first: int, count: int, **more: str) -> list[dict[str, Any]]:
    return [{"symbol": "S", "price_ticks": n, **more} for n in range(first, first + count)]


def echoes(bootstrap: str, folder: Path) -> list[dict[str, Any]]:
    """Return what the workers wrote, as the code of a folder reads it."""
    registry = SchemaLog(bootstrap)
    decoder = Decoder(load_schema(folder / "schemas" / "avro", "echo.v1"), registry.schema)
    parts = read_all(bootstrap, {ECHOES: 1})
    rows = [row for p in parts for row in decoder.decode(p.values).records.to_pylist()]
    registry.close()
    return rows


def is_done(bootstrap: str) -> bool:
    query = OffsetQuery(bootstrap, GROUP)
    place = (TICKS, 0)
    ends, committed = query.ends([place])[place], query.committed([place]).get(place, 0)
    query.close()
    return committed >= ends


@contextmanager
def worker(bootstrap: str, folder: Path, home: Path) -> Iterator[sample.WorkerProcess]:
    command = ("-m", "headrace", "worker", "evolving", f"--project={folder}")
    with sample.worker(bootstrap, home, *command) as running:
        yield running


def work_off(bootstrap: str, folder: Path, home: Path) -> None:
    """Let the code of a folder do all there is to do, and stop it."""
    with worker(bootstrap, folder, home) as running:
        sample.wait_for("all ticks done", lambda: is_done(bootstrap))
        assert running.end(signal.SIGTERM) == 0


def test_old_and_new_writers_share_a_partition_and_old_and_new_readers_read_them(
    bootstrap: str, tmp_path: Path
) -> None:
    old, new = lay_down(tmp_path / "old", TICK_V1), lay_down(tmp_path / "new", TICK_V2)
    send_in_turn(
        bootstrap,
        ours(bootstrap, TICK_V1, ticks(0, 10)),
        theirs(bootstrap, TICK_V2, ticks(100, 10, venue="XNAS")),
        theirs(bootstrap, TICK_V1, ticks(200, 10)),
        ours(bootstrap, TICK_V2, ticks(300, 10, venue="XLON")),
    )

    work_off(bootstrap, new, tmp_path / "home")
    by_new = echoes(bootstrap, new)
    send_in_turn(bootstrap, ours(bootstrap, TICK_V2, ticks(400, 10, venue="XPAR")))
    work_off(bootstrap, old, tmp_path / "home")
    by_both = echoes(bootstrap, old)

    venues = ("unknown", "XNAS", "unknown", "XLON")
    assert [(r["price_ticks"], r["venue"]) for r in by_new] == [
        (100 * writer + n, venues[writer]) for n in range(10) for writer in range(4)
    ]
    assert [row["count"] for row in by_both] == [*range(1, 51)]
    assert [row["price_ticks"] for row in by_both[40:]] == [*range(400, 410)]
    assert by_both[0].keys() == {"symbol", "price_ticks", "count"}
    assert dead_letters(bootstrap) == []


def test_an_old_reader_puts_aside_what_it_cannot_read_and_says_why(
    bootstrap: str, tmp_path: Path
) -> None:
    """A writer that nobody checked leaves a field out that the old code has no default for."""
    old = lay_down(tmp_path / "old", TICK_V1)
    send_in_turn(
        bootstrap,
        ours(bootstrap, TICK_V1, ticks(0, 3)),
        theirs(bootstrap, (SYMBOL,), [{"symbol": "S"}] * 3),
    )

    work_off(bootstrap, old, tmp_path / "home")

    assert [row["price_ticks"] for row in echoes(bootstrap, old)] == [0, 1, 2]
    letters = dead_letters(bootstrap)
    assert [letter["headrace-cause"] for letter in letters] == ["schema_mismatch"] * 3
    assert "field price_ticks" in letters[0]["headrace-detail"]
    assert "schema id" in letters[0]["headrace-detail"]


def test_such_a_change_is_refused_before_it_is_deployed(tmp_path: Path) -> None:
    """Old readers need the field (FULL); the finding names file, field and rule."""
    folder = lay_down(tmp_path / "project", TICK_V1, rule="FULL")
    with as_only_project():
        record_schemas(Project(folder))
    lay_down(folder, (SYMBOL,), rule="FULL")

    with as_only_project():
        told = CliRunner().invoke(check, ["evolving", f"--project={folder}"])

    assert told.exit_code == 1
    for words in ("schemas/avro/tick.v1.avsc", "field price_ticks", "(FULL)", "[schema-forward]"):
        assert words in told.output


def test_a_table_that_changed_under_its_name_is_refused_and_under_a_new_one_begins_empty(
    bootstrap: str, tmp_path: Path
) -> None:
    """Its input goes on where the old table's ended; the old code finds nothing stale again."""
    other = "echo_ticks.count_by_symbol.v2"
    old = lay_down(tmp_path / "old", TICK_V1)
    changed = lay_down(tmp_path / "changed", TICK_V1, kind="np.int32")
    renamed = lay_down(tmp_path / "renamed", TICK_V1, kind="np.int32", table=other)
    home = tmp_path / "home"
    sent = iter(range(0, 1_000, 5))

    def send() -> None:
        send_in_turn(bootstrap, ours(bootstrap, TICK_V1, ticks(next(sent), 5)))

    send()
    work_off(bootstrap, old, home)
    send()
    with worker(bootstrap, changed, home) as refusing:
        assert refusing.process.wait(sample.WAIT_S) != 0
        said = refusing.log.read_text()
    work_off(bootstrap, renamed, home)
    shutil.rmtree(home)
    send()
    work_off(bootstrap, renamed, home)
    send()
    work_off(bootstrap, old, tmp_path / "another disk")

    assert "table echo_ticks.count_by_symbol.v1" in said
    assert "raise the version in its name" in said
    rows = echoes(bootstrap, old)
    assert [row["price_ticks"] for row in rows] == [*range(20)]
    assert [row["count"] for row in rows] == [*range(1, 6), *range(1, 11), *range(1, 6)]


def dead_letters(bootstrap: str) -> list[dict[str, str]]:
    """Return what the dead letters of ticks say of themselves."""
    parts = read_all(bootstrap, {f"{TICKS}.dead": 1})
    found = [headers for part in parts for headers in part.headers or ()]
    return [{name: value.decode() for name, value in headers} for headers in found]
