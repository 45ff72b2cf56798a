"""The trading graph with a real venue: Kafka, the gateway's worker killed, a faulty exchange."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from headrace.servers import Servers
from schemas import topics as t
from tests.integration.exchange_process import KEY, SECRET, ExchangeProcess
from tests.integration.trading_run import ROOT, finish_run, read_records

pytestmark = pytest.mark.long

FAULTS = "drop_request=0.05,drop_reply=0.05,fail_after=0.05,delay=0.1,duplicate=0.3,reorder=0.3"
FEED = "sim:2?events=16000&seed=3"
"""Fifty seconds at the speed below: a gateway refuses what waited 5 s, as the first orders may."""

WAIT_S = 180.0


@contextmanager
def started_run(
    home: Path, report: Path, exchange: ExchangeProcess, servers: Servers
) -> Iterator[subprocess.Popen[str]]:
    """Give a run that trades with the exchange; end it if the test leaves it on."""
    found = servers.endpoints
    environment = os.environ | {
        "HEADRACE_HOME": str(home),
        "HEADRACE_KAFKA": found.kafka,
        "HEADRACE_POSTGRES": found.postgres,
        "HEADRACE_REDIS": found.redis,
        "HEADRACE_VENUE_URL": exchange.url,
        "HEADRACE_VENUE_KEY": KEY,
        "HEADRACE_VENUE_SECRET": SECRET,
    }
    options = [f"--feed={FEED}", "--speed=4", "--until-end", f"--report={report}"]
    with subprocess.Popen(
        [sys.executable, "-m", "headrace", "up", "trading_gateway", *options],
        env=environment,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as run:
        try:
            yield run
        finally:
            run.terminate()


def gateway_worker(run: subprocess.Popen[str]) -> psutil.Process | None:
    """Return the process that runs the gateway's lane."""
    for child in psutil.Process(run.pid).children(recursive=True):
        if "--gateway=venue" in child.cmdline():
            return child
    return None


def kill_amid_orders(run: subprocess.Popen[str], exchange: ExchangeProcess) -> None:
    """Kill the gateway's worker once some orders are at the exchange."""
    deadline_s = time.monotonic() + WAIT_S
    while len(exchange.orders()) < 5:
        assert run.poll() is None, f"it ended first: {run.communicate()[0][-3_000:]}"
        assert time.monotonic() < deadline_s, "no order reached the exchange"
        time.sleep(0.2)
    worker = gateway_worker(run)
    assert worker is not None
    worker.send_signal(signal.SIGKILL)


def test_no_order_is_doubled_with_the_gateway_killed_and_the_exchange_faulty(
    tmp_path: Path, servers: Servers
) -> None:
    report = tmp_path / "report.json"
    with (
        ExchangeProcess(tmp_path, "--faults", FAULTS, "--seed", "7") as exchange,
        started_run(tmp_path / "home", report, exchange, servers) as run,
    ):
        kill_amid_orders(run, exchange)
        finish_run(run, report)
        orders = read_records(servers.endpoints.kafka, t.VENUE_ORDER)
        written = read_records(servers.endpoints.kafka, t.VENUE_REPORT)
        exists, said = exchange.orders(), exchange.reports()
        placements = exchange.placements_max()

    sent = {row["client_order_id"] for row in orders}
    assert json.loads(report.read_text())
    assert placements == 1
    assert exists.keys() <= sent
    kinds: dict[str, list[str]] = {}
    for row in written:
        kinds.setdefault(row["client_order_id"], []).append(row["kind"])
        assert row["report_sequence"] == len(kinds[row["client_order_id"]])
    assert kinds.keys() <= sent
    for identity, found in kinds.items():
        if exists.get(identity, False):
            assert found == said[identity][: len(found)]
        else:
            assert found == ["REJECTED"]
