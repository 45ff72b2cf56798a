"""Kafka, started once for a visit, so that later starts know its classes already."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import structlog

from headrace.servers.child import Child
from headrace.servers.class_archive import ClassArchive
from headrace.servers.command import run_to_end
from headrace.servers.home import Home
from headrace.servers.jars import kafka_jars
from headrace.servers.kafka import KafkaServer
from headrace.servers.ports import choose
from headrace.settings import Settings

_log = structlog.get_logger(__name__)

START_S_MAX = 300.0
"""For the broker to answer: a machine that is set up may be busy with other things."""
NOTING_S_MAX = 120.0
"""For the broker to write down at its end what it did with its classes."""
MAKING_S_MAX = 300.0
"""For another JVM to make the archive of that: 10 s of CPU."""


def rehearse_kafka(settings: Settings, visit: Callable[[str], None]) -> bool:
    """Have an embedded Kafka visited, given its address, and keep what its JVM learned.

    Returns False, and does nothing, if that is there already.
    Raises:  TransientError if Kafka does not start, or the archive is not made in time; what
             `visit` raises.
    """
    jars = kafka_jars(settings.cache, settings.resolve_timeout_s)
    archive = ClassArchive(settings.cache, jars)
    if archive.options():
        return False
    with tempfile.TemporaryDirectory(prefix="headrace-rehearsal-") as folder, ExitStack() as stack:
        home = stack.enter_context(Home(Path(folder) / "home").held())
        notes, made = Path(folder) / "notes", Path(folder) / "made"
        taken: set[int] = set()
        ports = [choose("a port of the rehearsal", None, None, taken) for _ in range(2)]
        server = KafkaServer(home, settings, *ports, notes=notes)
        child = Child(server, home, START_S_MAX, stop_timeout_s=NOTING_S_MAX)
        stack.callback(child.join)
        stack.callback(child.ask_to_end)
        child.start()
        child.ready.result()
        visit(server.connection)
        child.ask_to_end()
        child.join()
        run_to_end(server.archiving(notes, made), "keeping Kafka's classes", MAKING_S_MAX)
        archive.add(made)
        _log.info("kafka_rehearsed", archive=str(archive.path))
    return True
