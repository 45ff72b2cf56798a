"""What several tests of the sinks begin with."""

from collections.abc import Iterator

import pytest

from headrace.sinks import PostgresSink
from tests.integration.sink_database import empty_database, sink_on


@pytest.fixture
def dsn(postgres_dsn: str) -> Iterator[str]:
    """Return the DSN of an empty database."""
    with empty_database(postgres_dsn) as found:
        yield found


@pytest.fixture
def sink(dsn: str) -> Iterator[PostgresSink]:
    """Return an open sink on that database."""
    opened = sink_on(dsn)
    yield opened
    opened.close()
