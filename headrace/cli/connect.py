"""The servers a command talks to: those of the settings, of a run that is on, or its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from headrace.servers import Endpoints, Servers
from headrace.settings import Settings

ENDPOINTS_FILE = "endpoints.json"


@contextmanager
def connected(settings: Settings, *, only: frozenset[str]) -> Iterator[Endpoints]:
    """Give the endpoints of these servers, starting embedded ones if none are up."""
    running = read_endpoints(settings.home)
    if running is not None:
        yield running
        return
    with Servers(settings, only=only) as servers:
        yield servers.endpoints


def write_endpoints(home: Path, endpoints: Endpoints, pid: int) -> Path:
    """Note where the servers of a run listen, for other commands; only its owner may read it."""
    path = home / ENDPOINTS_FILE
    path.touch(mode=0o600)
    said = {"pid": pid, "kafka": endpoints.kafka}
    said |= {"postgres": endpoints.postgres, "redis": endpoints.redis}
    path.write_text(json.dumps(said))
    return path


def read_endpoints(home: Path) -> Endpoints | None:
    """Return where the servers of the run that holds this home listen; None if there is none."""
    try:
        said = json.loads((home / ENDPOINTS_FILE).read_text())
    except FileNotFoundError:
        return None
    if not psutil.pid_exists(said["pid"]):
        return None
    return Endpoints(said["kafka"], said["postgres"], said["redis"])
