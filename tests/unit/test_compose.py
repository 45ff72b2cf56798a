"""The compose file is the topology: a service a step, each healthy, bounded and read-only."""

from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from headrace.cli import app
from topologies.trading import TOPOLOGY

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
    "services"
]
SERVERS = {"kafka", "timescaledb", "redis"}
OURS = sorted(set(SERVICES) - SERVERS)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bounded_and_unprivileged(name: str) -> None:
    service = SERVICES[name]

    assert service["mem_limit"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] or name == "kafka"
    assert service["healthcheck"]
    assert service["restart"]


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_one_headrace_understands(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")

    context = group.commands[command].make_context(command, list(arguments))  # type: ignore[attr-defined]

    assert context.params["topology"] == TOPOLOGY.name


def test_every_step_and_sink_has_its_service() -> None:
    arguments = {argument for name in OURS for argument in SERVICES[name]["command"]}

    assert {a for a in arguments if a.startswith("--step=")} == {
        f"--step={step.name}" for step in TOPOLOGY.steps
    }
    assert {a for a in arguments if a.startswith("--sink=")} == {
        f"--sink={sink.name}" for sink in TOPOLOGY.sinks
    }


@pytest.mark.parametrize("name", sorted(set(OURS) - {"topics"}))
def test_a_worker_waits_for_the_topics_and_has_time_to_drain(name: str) -> None:
    assert "topics" in SERVICES[name]["depends_on"]
    assert SERVICES[name]["stop_grace_period"] == "90s"


def test_no_secret_stands_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()

    assert text.count("${HEADRACE_DB_PASSWORD:?set it}") == 2
    assert text.count("${HEADRACE_REDIS_PASSWORD:?set it}") == 2


def test_the_image_copies_every_package_and_runs_as_nobody_special() -> None:
    text = (ROOT / "infra" / "Dockerfile").read_text()

    for package in ("agents", "feeds", "headrace", "models", "schemas", "topologies"):
        assert f"COPY {package} {package}" in text
    assert "USER 10001:10001" in text
