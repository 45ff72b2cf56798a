"""Fixtures every layer shares: one set of real servers a session, and the recorded data."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from headrace.servers import Servers
from headrace.settings import Settings

# No test is judged by how long it takes: a first call compiles, a loaded machine is slow.
settings.register_profile("headrace", deadline=None, print_blob=True)
settings.load_profile("headrace")

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Embedded Kafka, PostgreSQL and Redis in a home of their own, started when first asked for."""
    # Not pytest's temporary folder: it is closed to PostgreSQL's account when tests run as root.
    with (
        tempfile.TemporaryDirectory(prefix="headrace-") as home,
        Servers(Settings.load(home=home, kafka=None, postgres=None, redis=None)) as running,
    ):
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
