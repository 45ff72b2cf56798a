"""Servers are killed while the main job runs: it goes on, and everything still adds up."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from headrace.servers import Servers
from headrace.servers.home import Home
from headrace.settings import Settings
from tests.integration.trading_run import assert_sound, finish_run, start_run

pytestmark = pytest.mark.long

RECORDING = "cm_btcusd_perp_20240808"
FRAMES = 48_270
PROGRAMS = {"kafka": "java", "postgres": "postgres", "redis": "redis-server"}
WAIT_S = 300


def server_of(home: Path, server: str) -> psutil.Process:
    """Return the process of a server that a run has started, as its home remembers it."""
    found = psutil.Process(Home(home).remembered(server)["pid"])
    assert found.name().startswith(PROGRAMS[server]), "the pid is another program's by now"
    return found


def wait_for_state(run: subprocess.Popen[str], home: Path, size_bytes: int) -> None:
    """Wait until a step has stored something: the run is in full flow."""
    deadline = time.monotonic() + WAIT_S
    while not any(f.stat().st_size > size_bytes for f in home.glob("state/*/*/*.log")):
        if run.poll() is not None:
            raise AssertionError(run.communicate()[0])
        assert time.monotonic() < deadline, "the run never began to keep state"
        time.sleep(0.1)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("killed", [("kafka",), ("postgres", "redis")], ids="+".join)
def test_killed_servers_cost_no_record(
    killed: Sequence[str], shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    report = home / "report.json"
    feed = f"capture:{shared_data / 'binance' / RECORDING}.gz"
    with start_run(home, report, feed) as run:
        try:
            wait_for_state(run, home, 1_000)
            for server in killed:
                server_of(home, server).kill()
            found = finish_run(run, report)
        finally:
            run.terminate()

    assert found["frames"]["sent"] == FRAMES
    assert found["frames"]["adds_up"]
    assert found["database_equals_topics"]
    settings = Settings.load(home=home, kafka=None, postgres=None, redis=None)
    with Servers(settings, only=frozenset({"postgres"})) as servers:
        assert_sound(servers.endpoints.postgres)
