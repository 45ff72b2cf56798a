"""What a run's processes are given, and that none is lost."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.up.processes import Process, free_port

EPHEMERAL_PORT_MIN = 32_768
"""Of Linux: from here on the kernel gives ports to outgoing connections."""


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _ in range(200)]

    assert len(set(ports)) == len(ports)


def test_a_worker_s_port_is_none_that_the_kernel_gives_away_before_it_listens() -> None:
    assert all(free_port() < EPHEMERAL_PORT_MIN for _ in range(50))


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have SIGTERM interrupt us, and come when a child is there of which nobody knows yet."""
    real = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> Any:
        child = real(*arguments, **options)
        signal.raise_signal(signal.SIGTERM)
        return child

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    monkeypatch.setattr(subprocess, "Popen", popen)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("interrupting")
def test_an_interrupt_waits_until_the_child_is_known(tmp_path: Path) -> None:
    process = Process("help", ["--help"], {}, tmp_path / "log")

    with pytest.raises(KeyboardInterrupt):
        process.start()

    assert process.pid is not None or process.exit_code == 0
    process.join()
    assert process.exit_code == 0
