"""Kafka Streams as a class path: its jars, pinned, and our few classes, compiled without a JDK."""

from pathlib import Path

from headrace.servers.command import Command, run_to_end
from headrace.servers.jars import (
    KAFKA_VERSION,
    java_program,
    require_pinned,
    resolve_jars,
)

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
RUN_OPTIONS = (
    *("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC", "--enable-native-access=ALL-UNNAMED"),
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.streams.kstream.internals=error",
)
"""A heap of no concern, the collector for throughput, and no warning for each record that is too
late for its window."""

RESOLVE_S_MAX = 300.0
COMPILE_S_MAX = 60.0


def class_path(cache: Path, classes: Path) -> str:
    """Return the class path of the peer, compiled into the folder `classes`.

    Raises:  TransientError if a jar cannot be downloaded or the sources do not compile; UsageError
             if a jar is not the one that was pinned.
    """
    what = f"Kafka Streams {KAFKA_VERSION}"
    apart = cache / "compiler"
    apart.mkdir(parents=True, exist_ok=True)
    jars = resolve_jars(STREAMS, what, cache, RESOLVE_S_MAX)
    (compiler,) = resolve_jars(COMPILER, "a compiler of Java", apart, RESOLVE_S_MAX)
    require_pinned([*jars, compiler], PINS, what)
    classes.mkdir(parents=True, exist_ok=True)
    path = ":".join(map(str, jars))
    sources = sorted(map(str, SOURCES.glob("*.java")))
    language = ("-source", LANGUAGE, "-target", LANGUAGE, "-nowarn")
    argv = ("java", "-jar", str(compiler), *language, "-cp", path, "-d", str(classes), *sources)
    command = Command(program=java_program(), argv=argv, cwd=classes)
    run_to_end(command, "compiling benchmarks/peers/kafka_streams", COMPILE_S_MAX)
    return f"{classes}:{path}"


def java_command(class_path: str, program: str) -> tuple[str, ...]:
    """Return how one of the peer's classes with a `main` is started."""
    return (str(java_program()), *RUN_OPTIONS, "-cp", class_path, program)
