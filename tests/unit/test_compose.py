"""The compose file is the topology: a service a step, each healthy, bounded and read-only."""

import os
import re
import runpy
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from headrace import limits
from headrace.cli import app
from headrace.up.processes import STOP_TIMEOUT_S
from topologies.trading import TOPOLOGY

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"
FILE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
SERVERS = {"kafka", "timescaledb", "redis"}
ONE_SHOT = {"topics"}
OURS = sorted(set(SERVICES) - SERVERS)
WORKERS = sorted(name for name in OURS if SERVICES[name]["command"][0] == "worker")
PASSWORDS = {"HEADRACE_DB_PASSWORD": "not-a-secret", "HEADRACE_REDIS_PASSWORD": "not-one-either"}
READY = runpy.run_path(str(ROOT / "infra" / "image" / "ready.py"))


def parsed(command: list[str]) -> dict[str, Any]:
    """Return the parameters the real command line reads from a service's command."""
    name, *arguments = command
    group: Any = typer.main.get_command(app)
    found: click.Command = group.get_command(None, name)
    parameters: dict[str, Any] = found.make_context(name, arguments).params
    return parameters


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bounded_and_unprivileged(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["restart"] in {"unless-stopped", "on-failure"}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_a_service_says_whether_it_is_well(name: str) -> None:
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "start_period", "retries"} <= check.keys()


def test_whoever_needs_a_server_waits_until_it_is_well() -> None:
    for service in SERVICES.values():
        for awaited, how in service.get("depends_on", {}).items():
            ends = awaited in ONE_SHOT
            expected = "service_completed_successfully" if ends else "service_healthy"
            assert how["condition"] == expected
    assert "kafka" in SERVICES["topics"]["depends_on"]
    assert all("topics" in SERVICES[name]["depends_on"] for name in set(OURS) - ONE_SHOT)
    assert "timescaledb" in SERVICES["sink-postgres"]["depends_on"]
    assert "redis" in SERVICES["sink-redis"]["depends_on"]


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_one_headrace_understands(name: str) -> None:
    assert parsed(SERVICES[name]["command"])["topology"] == TOPOLOGY.name


def test_every_step_and_sink_has_its_own_service() -> None:
    chosen = {name: parsed(SERVICES[name]["command"]) for name in WORKERS}

    steps = {name: list(p["step"]) for name, p in chosen.items() if p["step"]}
    sinks = {name: list(p["sink"]) for name, p in chosen.items() if p["sink"]}

    assert steps == {step.name: [step.name] for step in TOPOLOGY.steps}
    assert sinks == {f"sink-{sink.name}": [sink.name] for sink in TOPOLOGY.sinks}
    assert set(OURS) == steps.keys() | sinks.keys() | ONE_SHOT | {"feed"}


@pytest.mark.parametrize("name", OURS)
def test_a_stop_leaves_time_to_drain(name: str) -> None:
    grace_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))

    assert grace_s > max(limits.DRAIN_TIMEOUT_S, STOP_TIMEOUT_S)


def test_no_two_services_share_a_folder() -> None:
    volumes = [volume.split(":")[0] for s in SERVICES.values() for volume in s["volumes"]]

    assert sorted(volumes) == sorted(FILE["volumes"])


def test_what_is_published_is_published_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_passwords_have_no_default_and_reach_only_who_needs_them() -> None:
    holders = {
        name
        for name, service in SERVICES.items()
        for value in service["environment"].values()
        if "PASSWORD" in str(value)
    }

    assert holders == {"timescaledb", "redis", "sink-postgres", "sink-redis"}
    for name in PASSWORDS:
        assert COMPOSE_FILE.read_text().count(f"${{{name}:?set it}}") == 2


@pytest.mark.parametrize("program", ["docker-compose", "podman-compose"])
def test_a_compose_program_accepts_the_file(program: str) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: the file is not put to it")

    done = subprocess.run(
        [found, "--file", str(COMPOSE_FILE), "config"],
        env={**os.environ, **PASSWORDS},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["services"].keys() == SERVICES.keys()


def test_compose_refuses_to_start_without_passwords() -> None:
    found = shutil.which("docker-compose")
    if found is None:
        pytest.skip("docker-compose is not installed: the file is not put to it")
    bare = {name: value for name, value in os.environ.items() if name not in PASSWORDS}

    done = subprocess.run(
        [found, "--file", str(COMPOSE_FILE), "config"], env=bare, capture_output=True, check=False
    )

    assert done.returncode != 0


def test_the_image_holds_the_whole_project_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = (ROOT / "infra" / "Dockerfile").read_text()

    folders = {"agents", "feeds", "gateways", "models", "schemas", "topologies"}

    assert "*" in ignored
    assert folders | {"headrace", "infra/migrations", "infra/image"} <= allowed
    assert not allowed & {"tests", ".git", ".headrace", ".venv"}
    assert f"cp -R {' '.join(sorted(folders))} /opt/headrace/" in copied
    assert "USER 10001:10001" in copied


def test_the_image_installs_the_versions_that_are_tested() -> None:
    tested = set(_pins(ROOT / "requirements.lock"))

    assert set(_pins(ROOT / "requirements-runtime.lock")) <= tested
    assert set(_pins(ROOT / "infra" / "image" / "build.lock")) <= tested


def test_a_connection_to_the_broker_is_found_among_the_sockets() -> None:
    heading = "  sl  local_address rem_address   st tx_queue rx_queue"
    connected = "   0: 0100007F:D2F0 0300007F:2384 01 00000000:00000000"
    closing = connected.replace(" 01 ", " 06 ")

    assert READY["is_connected"]([heading, closing, connected], 9_092)
    assert not READY["is_connected"]([heading, closing], 9_092)
    assert not READY["is_connected"]([heading, connected], 9_093)
    assert not READY["is_connected"]([], 9_092)


def test_a_worker_that_does_not_answer_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    is_ready, said = READY["worker_is_ready"](str(port))

    assert not is_ready
    assert "refused" in said


def _pins(lock: Path) -> list[tuple[str, str]]:
    """Return the name and version of every package a lock names."""
    return re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^ ;]+)", lock.read_text(), flags=re.MULTILINE)
