"""Fixtures every layer shares: one set of real servers a session, and the recorded data."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from headrace.servers import Servers
from headrace.settings import Settings
from tests.examples import register_profiles

register_profiles()

_ROOT = Path(__file__).resolve().parent.parent
_WHOLE_GRAPHS = (
    *("faults/test_outages.py", "faults/test_prover.py", "integration/test_control.py"),
    *("integration/test_gateway.py", "integration/test_parity.py"),
    *("integration/test_topologies.py", "integration/test_trading_run.py"),
)
"""Each fills the machine: two at a time would prove only that it is slow."""

_LONG = ("faults", "integration")
"""Folders whose tests wait for servers: begun last, one of them would be waited for alone."""


class _FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a file's tests to one process, for they share servers; and all whole graphs to one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "whole graphs" if file.removeprefix("tests/") in _WHOLE_GRAPHS else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _FilesTogether:
    """Say which process runs what, whatever `--dist` says."""
    return _FilesTogether(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin the longest first, where processes share the tests."""
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    file = item.path.relative_to(_ROOT / "tests").as_posix()
    return 0 if file in _WHOLE_GRAPHS else 1 if file.startswith(_LONG) else 2


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Embedded Kafka, PostgreSQL and Redis in a home of their own, started when first asked for."""
    # Not pytest's temporary folder: it is closed to PostgreSQL's account when tests run as root.
    with (
        tempfile.TemporaryDirectory(prefix="headrace-") as home,
        Servers(Settings.load(home=home, kafka=None, postgres=None, redis=None)) as running,
    ):
        yield running


@pytest.fixture
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Give a test Kafka of its own: to count every record of a topic, or to kill the server."""
    home = tmp_path_factory.mktemp("home")
    with Servers(Settings.load(home=home, kafka=None), only=frozenset({"kafka"})) as running:
        yield running


@pytest.fixture(scope="session")
def kafka(servers: Servers) -> str:
    """Return the bootstrap servers; name your topics so that tests do not meet."""
    return servers.endpoints.kafka


@pytest.fixture(scope="session")
def postgres_dsn(servers: Servers) -> str:
    """Return the DSN of the database; use a schema of your own."""
    return servers.endpoints.postgres


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    """Return the URL; begin your keys with a prefix of your own."""
    return servers.endpoints.redis


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of recorded market data; skip where it is not."""
    path = Path(os.environ.get("HEADRACE_SHARED_DATA", _ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no recorded data at {path}; HEADRACE_SHARED_DATA names another folder")
    return path
