"""What several modules of unit tests are given."""

from collections.abc import Iterator

import pytest

from tests.gateway_bench import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Return a gateway's surroundings; its processes are closed at the end."""
    made = Bench()
    yield made
    for processor in made.processors:
        processor.close()
