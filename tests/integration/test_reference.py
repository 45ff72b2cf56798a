"""A table of PostgreSQL beside a stream of Kafka: what comes out follows its rows."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from headrace.avro.schema import AvroSchema, load_schema
from headrace.avro.wire import Decoder, encode
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.reference.load import note_written
from tests.integration import sample_run as sample

pytestmark = pytest.mark.long

PROJECT = Path(__file__).resolve().parents[1] / "projects" / "enrich"
TRADE, INSTRUMENT, PRICED = "sample.trade.v1", "reference.instrument.v1", "sample.priced.v1"
PARTITIONS = 3
GROUP = "headrace.enrich.price"
TABLE = """
    CREATE SCHEMA enrich
    CREATE TABLE "Instrument list" (
        venue text, instrument text, tick_nanos numeric, desk text, other bytea
    )
"""
INSERT = 'INSERT INTO enrich."Instrument list" VALUES (%s, %s, %s, %s)'


@pytest.fixture
def database(postgres_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(TABLE)
        yield connection
        connection.execute("DROP SCHEMA enrich CASCADE")


class Loads:
    """Runs `headrace reference load` on the table."""

    def __init__(self, kafka: str, dsn: str, home: Path) -> None:
        self._environment = {
            **os.environ,
            "HEADRACE_KAFKA": kafka,
            "HEADRACE_REFERENCE_POSTGRES": dsn,
            "HEADRACE_HOME": str(home),
        }
        self.dsn = dsn

    def __call__(self, *, code: int = 0) -> dict[str, Any]:
        """Return what one load says of itself, and hold it to an exit code."""
        command = [sys.executable, "-m", "headrace", "reference", "load", "enrich", INSTRUMENT]
        command += ["--table", "enrich.Instrument list", "--json", f"--project={PROJECT}"]
        done = subprocess.run(
            command,
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=sample.WAIT_S,
        )
        assert done.returncode == code, done.stderr
        assert self.dsn not in done.stderr + done.stdout
        said: dict[str, Any] = json.loads(done.stdout)
        return said


def schema(stem: str) -> AvroSchema:
    return load_schema(PROJECT / "schemas" / "avro", stem)


def send_trades(kafka: str, instruments: Mapping[int, str]) -> None:
    """Write a trade a number, of that instrument."""
    records = pa.record_batch(
        {
            "number": pa.array(list(instruments), pa.int64()),
            "venue": ["sim"] * len(instruments),
            "instrument": list(instruments.values()),
            "price_ticks": np.full(len(instruments), 100),
        }
    )
    registry = SchemaLog(kafka)
    values = encode(
        records, schema("trade.v1"), registry.register(f"{TRADE}-value", schema("trade.v1"))
    )
    registry.close()
    producer = Producer(kafka, "test")
    producer.send(TRADE, values, [str(number).encode() for number in instruments])
    producer.flush()


def ends(kafka: str, topic: str) -> dict[Any, int]:
    query = OffsetQuery(kafka)
    found = query.ends(places_of_topics({topic: PARTITIONS}))
    query.close()
    return found


def wait_until_read(kafka: str) -> None:
    """Wait until the worker has committed all there is of both topics."""
    places = places_of_topics({TRADE: PARTITIONS, INSTRUMENT: PARTITIONS})
    query = OffsetQuery(kafka, GROUP)

    def is_read() -> bool:
        committed, last = query.committed(places), query.ends(places)
        return all(committed.get(place, 0) >= end for place, end in last.items())

    sample.wait_for("all trades and rows read", is_read)
    query.close()


def ticks(kafka: str) -> dict[int, int]:
    """Return the tick by number of each trade that came out, once."""
    registry = SchemaLog(kafka)
    decoder = Decoder(schema("priced.v1"), registry.schema)
    rows = [
        row
        for part in read_all(kafka, {PRICED: PARTITIONS})
        for row in decoder.decode(part.values).records.to_pylist()
    ]
    registry.close()
    found = {row["number"]: row["tick_nanos"] for row in rows}
    assert len(found) == len(rows)
    return found


def rows_by_partition(kafka: str) -> list[dict[bytes, bytes]]:
    found: list[dict[bytes, bytes]] = [{} for _ in range(PARTITIONS)]
    for part in read_all(kafka, {INSTRUMENT: PARTITIONS}):
        note_written(found[part.partition], part.keys, part.values)
    return found


def test_what_comes_out_follows_the_table(
    kafka: str, postgres_dsn: str, database: psycopg.Connection, tmp_path: Path
) -> None:
    load = Loads(kafka, postgres_dsn, tmp_path / "loader")
    for row in (("sim", "BTC", 10, "majors"), ("sim", "ETH", 20, None), ("sim", "OLD", 30, "x")):
        database.execute(INSERT, row)

    assert load() == {
        "topic": INSTRUMENT, "partitions": PARTITIONS,
        "rows": 3, "changed": 3, "removed": 0, "refused": [],
    }  # fmt: skip
    before = ends(kafka, INSTRUMENT)
    assert load()["changed"] == 0
    assert ends(kafka, INSTRUMENT) == before
    one, *others = rows_by_partition(kafka)
    assert sorted(one) == [b"sim/BTC", b"sim/ETH", b"sim/OLD"]
    assert others == [one, one]

    send_trades(kafka, dict(enumerate(["BTC", "ETH", "OLD", "NEW"] * 5)))
    command = ("-m", "headrace", "worker", "enrich", f"--project={PROJECT}")
    with sample.worker(kafka, tmp_path / "a", *command) as first:
        wait_until_read(kafka)
        expected = {n: [10, 20, 30][n % 4] for n in range(20) if n % 4 < 3}
        assert ticks(kafka) == expected  # all: rows are read before the stream

        database.execute("DELETE FROM enrich.\"Instrument list\" WHERE instrument = 'OLD'")
        database.execute(
            "UPDATE enrich.\"Instrument list\" SET tick_nanos = 11 WHERE desk = 'majors'"
        )
        database.execute(INSERT, ("sim", "NEW", 40, None))
        database.execute(INSERT, ("sim", "ODD", "0.5", None))
        said = load(code=1)
        assert (said["rows"], said["changed"], said["removed"]) == (4, 2, 1)
        assert [row["key"] for row in said["refused"]] == ["sim/ODD"]
        wait_until_read(kafka)
        first.end(signal.SIGKILL)

    send_trades(kafka, dict(enumerate(["BTC", "ETH", "OLD", "NEW", "ODD"], 100)))
    with sample.worker(kafka, tmp_path / "b", *command) as second:
        wait_until_read(kafka)
        assert second.end(signal.SIGTERM) == 0

    assert ticks(kafka) == expected | {100: 11, 101: 20, 103: 40}
