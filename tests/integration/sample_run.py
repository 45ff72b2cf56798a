"""The sample project for real: ticks written to Kafka, a worker, what it wrote read back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa

from headrace.avro.schema import AvroSchema, load_schema
from headrace.avro.wire import Decoder, encode
from headrace.batch import Headers
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.up.processes import free_port

PROJECT = Path(__file__).resolve().parent.parent / "projects" / "vwap"
TICK_TOPIC = "sample.tick.v1"
VWAP_TOPIC = "sample.vwap.v1"
GROUP = "headrace.vwap.vwap"
PARTITIONS = 4
WAIT_S = 180.0


def schema(stem: str) -> AvroSchema:
    """Return a schema of the sample project."""
    return load_schema(PROJECT / "schemas" / "avro", stem)


def ticks(count: int, *, symbols: int = 7, first: int = 0) -> pa.RecordBatch:
    """Return ticks number `first` and following; prices and sizes tell which is which."""
    numbers = np.arange(first, first + count)
    return pa.record_batch(
        {
            "symbol": [f"S{number % symbols}" for number in numbers],
            "price_ticks": 100 + numbers,
            "size_lots": 1 + numbers % 5,
        }
    )


def send_ticks(
    bootstrap: str, records: pa.RecordBatch, headers: list[Headers] | None = None
) -> None:
    """Write ticks to their topic and wait until they are safe."""
    registry = SchemaLog(bootstrap)
    tick = schema("tick.v1")
    values = encode(records, tick, registry.register(f"{TICK_TOPIC}-value", tick))
    registry.close()
    keys: list[bytes | None] = [symbol.encode() for symbol in records.column("symbol").to_pylist()]
    producer = Producer(bootstrap, "test")
    producer.send(TICK_TOPIC, values, keys, headers=headers)
    producer.flush()


def read_topic(bootstrap: str, topic: str) -> list[tuple[bytes | None, bytes | None, Headers]]:
    """Return key, value and headers of every record of a topic, partition by partition."""
    found: dict[int, list[tuple[bytes | None, bytes | None, Headers]]] = {}
    for part in read_all(bootstrap, {topic: PARTITIONS}):
        headers = part.headers or [()] * len(part.values)
        rows = zip(part.keys, part.values, headers, strict=True)
        found.setdefault(part.partition, []).extend(rows)
    return [row for partition in sorted(found) for row in found[partition]]


def read_vwaps(bootstrap: str) -> list[dict[str, Any]]:
    """Return every record the worker wrote, decoded."""
    registry = SchemaLog(bootstrap)
    decoder = Decoder(schema("vwap.v1"), registry.schema)
    decoded = decoder.decode([value for _, value, _ in read_topic(bootstrap, VWAP_TOPIC)])
    registry.close()
    assert not decoded.bad
    rows: list[dict[str, Any]] = decoded.records.to_pylist()
    return rows


def lag(bootstrap: str) -> int:
    """Return how many ticks the worker has not finished."""
    query = OffsetQuery(bootstrap, GROUP)
    places = places_of_topics({TICK_TOPIC: PARTITIONS})
    committed, ends = query.committed(places), query.ends(places)
    query.close()
    return sum(end - committed.get(place, 0) for place, end in ends.items())


def wait_for(what: str, is_so: Callable[[], bool]) -> None:
    """Poll until something is so; fail after a bound."""
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
        time.sleep(0.05)


class WorkerProcess:
    """`headrace worker vwap` as a process of its own."""

    def __init__(self, bootstrap: str, home: Path, *command: str, **settings: str) -> None:
        self.port = free_port()
        arguments = command or ("-m", "headrace", "worker", "vwap", f"--project={PROJECT}")
        self.log = home / "worker.log"
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "HEADRACE_KAFKA": bootstrap,
            "HEADRACE_HOME": str(home),
            "HEADRACE_WEB_PORT": str(self.port),
        }
        environment |= {f"HEADRACE_{name.upper()}": value for name, value in settings.items()}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], env=environment, stdout=log, stderr=log, cwd=PROJECT
            )

    def get(self, path: str) -> httpx.Response:
        """Ask the worker's web server."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)

    def wait_until_ready(self) -> None:
        """Wait until the worker owns its partitions."""
        wait_for(f"worker ready, its log: {self.log}", self._is_ready)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/ready").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return what the worker has logged under this name."""
        lines = self.log.read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry.get("event") == event]

    def partitions(self) -> set[int]:
        """Return the partitions that the worker was given and not asked to give back."""
        mine: set[int] = set()
        for line in self.log.read_text().splitlines():
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("event") == "partitions_assigned":
                mine |= set(entry["partitions"])
            elif entry.get("event") in {"partitions_revoked", "partitions_lost"}:
                mine -= set(entry["partitions"])
        return mine

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


def headrace(bootstrap: str, home: Path, *arguments: str) -> Any:
    """Return what a command of the sample project prints as JSON."""
    environment = {**os.environ, "HEADRACE_KAFKA": bootstrap, "HEADRACE_HOME": str(home)}
    command = [sys.executable, "-m", "headrace", *arguments, f"--project={PROJECT}"]
    done = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=WAIT_S
    )
    return json.loads(done.stdout)


@contextmanager
def worker(bootstrap: str, home: Path, *command: str, **settings: str) -> Iterator[WorkerProcess]:
    """Give a worker that is killed at the end, if it still runs; `settings` are HEADRACE_ ones."""
    running = WorkerProcess(bootstrap, home, *command, **settings)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)
