"""How a worker starts where something is in its way: what it waits for, what it says."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from threading import Timer

import httpx
import pytest

from headrace.errors import TransientError
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.up.processes import free_port
from tests.integration import sample_run as sample

OTHER_LOOPBACK = "127.0.0.2"
PROJECT = Path(__file__).resolve().parents[2]


def test_a_taken_web_port_is_said_and_is_no_success(kafka: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with sample.worker(kafka, tmp_path, web_port=str(port)) as refused:
            code = refused.process.wait(sample.WAIT_S)

    assert code == 2
    assert f"web port {port}: expected a free port at 127.0.0.1" in refused.log.read_text()


def test_its_pages_are_served_at_the_address_it_is_told(kafka: str, tmp_path: Path) -> None:
    with sample.worker(kafka, tmp_path, web_host=OTHER_LOOPBACK) as running:
        page = f"http://{OTHER_LOOPBACK}:{running.port}/live"
        sample.wait_for("its page", lambda: answers(page))

        assert not answers(f"http://127.0.0.1:{running.port}/live")
        assert running.end() == 0


def answers(page: str) -> bool:
    try:
        return httpx.get(page, timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def test_what_keeps_a_worker_from_starting_is_said(kafka: str, tmp_path: Path) -> None:
    nobodys = "203.0.113.1"  # of a net that is for documents only

    with sample.worker(kafka, tmp_path, web_host=nobodys) as refused:
        code = refused.process.wait(sample.WAIT_S)

    assert code == 1
    assert "it could not start: " in refused.log.read_text()


def test_a_server_that_is_late_is_waited_for(tmp_path: Path) -> None:
    only = frozenset({"redis"})
    with Servers(settings(tmp_path / "late"), only=only) as known:
        real = settings(tmp_path / "own", redis=known.endpoints.redis, connect_timeout_s=1)
    late = Servers(settings(tmp_path / "late"), only=only)  # at the same port, as it was
    start = Timer(1.5, late.__enter__)
    start.start()

    with Servers(real, only=only, patience_s=sample.WAIT_S) as servers:
        (found,) = servers.states()
    start.join()
    late.__exit__()

    assert not found.embedded


def test_a_server_that_never_comes_is_told_when_patience_ends(tmp_path: Path) -> None:
    real = settings(tmp_path, redis=f"redis://127.0.0.1:{free_port()}/0", connect_timeout_s=1)

    with (
        pytest.raises(TransientError, match="HEADRACE_REDIS"),
        Servers(real, only=frozenset({"redis"}), patience_s=1),
    ):
        pytest.fail("it is not there")


@pytest.mark.parametrize("command", ["worker", "feed"])
def test_who_waits_for_its_servers_ends_with_0_when_it_is_asked_to(
    command: str, tmp_path: Path
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    environment = os.environ | {"HEADRACE_KAFKA": nowhere, "HEADRACE_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-m", "headrace", command, "trading", f"--project={PROJECT}"],
        env=environment | {"HEADRACE_CONNECT_TIMEOUT_S": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stderr is not None
        told = next((line for line in waiting.stderr if "server_away" in line), None)
        waiting.terminate()
        code = waiting.wait(sample.WAIT_S)

    assert told is not None
    assert code == 0


def settings(home: Path, **chosen: object) -> Settings:
    return Settings.load(home=home, **({"kafka": None, "postgres": None, "redis": None} | chosen))
