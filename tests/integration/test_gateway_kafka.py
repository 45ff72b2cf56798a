"""The gateway's lane on a real Kafka against a real exchange: killed, or stopped for too long."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.trading.records import VenueOrder, to_records
from headrace.avro.registry import subject_of
from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder, encode
from headrace.kafka.admin import Admin
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.runtime.topics import plans
from tests.gateway_fakes import order
from tests.integration.exchange_process import ExchangeProcess
from tests.integration.gateway_worker import ORDERS, REPORTS, SCHEMAS, topology

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 240.0
FAULTS = "drop_request=0.05,drop_reply=0.1,fail_after=0.05,delay=0.2,duplicate=0.3,reorder=0.3"


class Bench:
    """A Kafka, an exchange, and workers of the gateway."""

    def __init__(self, bootstrap: str, folder: Path, exchange: ExchangeProcess) -> None:
        self.bootstrap = bootstrap
        self.folder = folder
        self.exchange = exchange
        self.sent: list[str] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        Admin(bootstrap).ensure(plans(topology(exchange.url)))

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start a worker with a disk of its own."""
        log = (self.folder / f"{name}.log").open("ab")
        arguments = [self.bootstrap, str(self.folder / name), name, self.exchange.url]
        command = [sys.executable, "-m", "tests.integration.gateway_worker", *arguments]
        worker = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=log, stderr=log)
        log.close()
        self.workers.append(worker)
        return worker

    def send(self, prefix: str, count: int) -> None:
        """Write orders to the topic."""
        orders = [
            order(k, client_order_id=f"{prefix}-{k}", instrument=f"sim:S{k % 7}")
            for k in range(count)
        ]
        schema = load_schema(SCHEMAS, ORDERS.schema)
        registry = SchemaLog(self.bootstrap)
        schema_id = registry.register(subject_of(ORDERS.name), schema)
        producer = Producer(self.bootstrap, "test")
        values = encode(to_records(VenueOrder, orders), schema, schema_id)
        producer.send(ORDERS.name, values, [each.instrument.encode() for each in orders])
        producer.flush()
        registry.close()
        self.sent += [each.client_order_id for each in orders]

    def reports(self) -> dict[str, list[tuple[int, str]]]:
        """Return number and kind of the committed reports of each order of this test."""
        schema = load_schema(SCHEMAS, REPORTS.schema)
        registry = SchemaLog(self.bootstrap)
        decoder = Decoder(schema, registry.schema)
        found: dict[str, list[tuple[int, str]]] = {}
        for raw in read_all(self.bootstrap, {REPORTS.name: REPORTS.partitions}):
            for row in decoder.decode(raw.values).records.to_pylist():
                if row["client_order_id"] in self.sent:
                    reports = found.setdefault(row["client_order_id"], [])
                    reports.append((row["report_sequence"], row["kind"]))
        registry.close()
        return found

    def wait_for(self, what: str, is_there: "Iterator[bool]") -> None:
        """Wait until something is there."""
        deadline_s = time.monotonic() + WAIT_S
        while not next(is_there):
            logs = {path.name: path.read_text()[-2_000:] for path in self.folder.glob("*.log")}
            assert time.monotonic() < deadline_s, f"{what}: {self.reports()}\n{logs}"
            time.sleep(0.2)

    def wait_until_ended(self) -> dict[str, list[tuple[int, str]]]:
        """Wait until every order has its last report; fail if any is not the exchange's."""
        last = {"FILLED", "CANCELED", "REJECTED"}

        def ended() -> Iterator[bool]:
            while True:
                found = self.reports()
                yield sum(each[-1][1] in last for each in found.values()) == len(self.sent)

        self.wait_for("all orders ended", ended())
        found = self.reports()
        exists, said = self.exchange.orders(), self.exchange.reports()
        assert self.exchange.placements_max() == 1
        for identity, reports in found.items():
            assert [sequence for sequence, _ in reports] == list(range(1, len(reports) + 1))
            kinds = [kind for _, kind in reports]
            assert kinds == (said[identity] if exists.get(identity, False) else ["REJECTED"])
        return found

    def wait_for_orders(self, count: int) -> None:
        """Wait until the exchange has so many orders."""

        def there() -> Iterator[bool]:
            while True:
                yield len(self.exchange.orders()) >= count

        self.wait_for(f"{count} orders at the exchange", there())

    def end(self) -> None:
        """Kill what is left."""
        for worker in self.workers:
            worker.kill()
            worker.wait(10)


@pytest.fixture
def bench(kafka: str, tmp_path: Path) -> Iterator[Bench]:
    options = ("--faults", FAULTS, "--seed", "5", "--fill-delay-s", "0.2")
    with ExchangeProcess(tmp_path, *options) as exchange:
        made = Bench(kafka, tmp_path, exchange)
        yield made
        made.end()


def test_killed_worker_doubles_and_loses_no_order(bench: Bench) -> None:
    first = bench.start_worker("first")
    bench.send("killed", 150)
    bench.wait_for_orders(20)
    first.kill()

    bench.start_worker("second")

    found = bench.wait_until_ended()
    assert len(found) == 150
    assert any(bench.exchange.orders().values())


def test_worker_stopped_past_its_session_sends_nothing_when_it_wakes_up(bench: Bench) -> None:
    stopped = bench.start_worker("stopped")
    bench.send("stopped", 150)
    bench.wait_for_orders(20)
    stopped.send_signal(signal.SIGSTOP)
    bench.start_worker("successor")
    bench.wait_until_ended()
    placed = bench.exchange.orders()

    stopped.send_signal(signal.SIGCONT)
    bench.send("after", 50)
    bench.wait_until_ended()

    before = {name: there for name, there in bench.exchange.orders().items() if name in placed}
    assert before == placed
