"""The servers a command talks to: those of the settings, of a run that is on, or its own."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import msgspec
import psutil

from headrace.errors import TransientError, UsageError
from headrace.servers import Endpoints, Servers
from headrace.settings import Settings

ENDPOINTS_FILE = "endpoints.json"


@contextmanager
def connected(
    settings: Settings, *, only: frozenset[str], patience_s: float = 0
) -> Iterator[Endpoints]:
    """Give the endpoints of these servers, starting embedded ones if none are up.

    Real servers that are away are waited for `patience_s`; a SIGTERM meanwhile ends the process
    with 0, for nothing has begun that would have to be finished.
    """
    running = read_endpoints(settings.home)
    if running is not None:
        yield running
        return
    with ExitStack() as stack:
        with _sigterm_noted() if patience_s else nullcontext(lambda: False) as is_over:
            servers = Servers(settings, only=only, patience_s=patience_s, is_over=is_over)
            try:
                stack.enter_context(servers)
            except TransientError:
                if not is_over():
                    raise
            if is_over():
                sys.exit(0)
        yield servers.endpoints


@contextmanager
def _sigterm_noted() -> Iterator[Callable[[], bool]]:
    """Give what says whether there was a SIGTERM.

    Its handler raises nothing: what is raised while a client of Kafka is in its own code is lost.
    """
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        yield lambda: bool(heard)
    finally:
        signal.signal(signal.SIGTERM, before)


class _Note(msgspec.Struct):
    """What a run notes: its pid, and where its servers listen."""

    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    kafka: str
    postgres: str
    redis: str


def write_endpoints(home: Path, endpoints: Endpoints, pid: int) -> Path:
    """Note where the servers of a run listen, for other commands; only its owner may read it."""
    path = home / ENDPOINTS_FILE
    path.touch(mode=0o600)
    said = {"pid": pid, "kafka": endpoints.kafka}
    said |= {"postgres": endpoints.postgres, "redis": endpoints.redis}
    path.write_text(json.dumps(said))
    return path


def read_endpoints(home: Path) -> Endpoints | None:
    """Return where the servers of the run that holds this home listen; None if there is none.

    Raises:  UsageError if the run's note is damaged.
    """
    path = home / ENDPOINTS_FILE
    try:
        said = msgspec.json.decode(path.read_bytes(), type=_Note)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{path}: expected where a run's servers listen, found {str(error)[:100]}; start the "
            "run again, or remove the file if there is none"
        ) from error
    if not psutil.pid_exists(said.pid):
        return None
    return Endpoints(said.kafka, said.postgres, said.redis)
