"""The jobs, and who does them: how each peer is started, and how many events it is given."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.throughput.trades import Expected, Trades, expected_filter, expected_vwap
from benchmarks.written import BENCH_PYTHON
from headrace.servers.jars import java_program
from headrace.up.processes import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "benchmarks" / "peers"
PROJECT = ROOT / "benchmarks" / "projects" / "vwap"

Guarantee = Literal["at_least_once", "exactly_once"]

COMMIT_MS = 100
"""Between commits, ours and those of whoever writes in transactions, which hide what they hold."""
STREAMS_COMMIT_MS = 30_000
"""Kafka Streams' default at least once: the less often, the better for it."""

JIT_WARM_S = 8.0
"""Java's first seconds run interpreted: the rate was seen to rise eightfold, up to the eighth."""


@dataclass(frozen=True, slots=True)
class Job:
    """One task: the schema of its output, and what is to come out."""

    name: str
    title: str
    schema: str
    expected: Callable[[Trades], Expected]


JOBS = (
    Job("vwap", "stateful VWAP", "vwap.v1", expected_vwap),
    Job("filter", "stateless decode → filter → encode", "notional.v1", expected_filter),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a peer is told of a run, in its environment."""

    kafka: str
    job: str
    input: str
    output: str
    group: str
    state: Path
    input_schema_id: int
    output_schema_id: int
    size_lots_min: int
    class_path: str

    def environment(self, peer: "Peer") -> dict[str, str]:
        """Return it as variables, with what the peer is told besides."""
        schemas = PROJECT / "schemas" / "avro"
        output_schema = next(job.schema for job in JOBS if job.name == self.job)
        return {
            "BENCH_KAFKA": self.kafka,
            "BENCH_JOB": self.job,
            "BENCH_INPUT": self.input,
            "BENCH_OUTPUT": self.output,
            "BENCH_GROUP": self.group,
            "BENCH_STATE": str(self.state),
            "BENCH_INPUT_SCHEMA": str(schemas / "trade.v1.avsc"),
            "BENCH_INPUT_SCHEMA_ID": str(self.input_schema_id),
            "BENCH_OUTPUT_SCHEMA": str(schemas / f"{output_schema}.avsc"),
            "BENCH_OUTPUT_SCHEMA_ID": str(self.output_schema_id),
            "BENCH_SIZE_LOTS_MIN": str(self.size_lots_min),
            "BENCH_GUARANTEE": peer.guarantee,
            "HEADRACE_KAFKA": self.kafka,
            "HEADRACE_HOME": str(self.state),
            **peer.environment,
        }


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to do the jobs.

    `records_max`: of the input it is given no more, in a topic of its own, so that a slow one comes
    to the end. `group`: its consumer group, by the name the run gives it; None if it has none.
    """

    name: str
    title: str
    guarantee: Guarantee
    command: Callable[[Setting], Sequence[str]]
    environment: Mapping[str, str]
    jobs: tuple[str, ...] = ("vwap", "filter")
    records_max: int | None = None
    warm_s_min: float = 0.0
    group: Callable[[Setting], str] = lambda setting: setting.group


def headrace_command(setting: Setting) -> Sequence[str]:
    """Return how our worker is started."""
    command = (sys.executable, "-m", "headrace", "worker", setting.job, f"--web-port={free_port()}")
    return (*command, f"--project={PROJECT}")


def streams_command(setting: Setting) -> Sequence[str]:
    """Return how Kafka Streams is started: a heap of no concern, the collector for throughput."""
    options = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC", "--enable-native-access=ALL-UNNAMED")
    log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return (str(java_program()), *options, log, "-cp", setting.class_path, "Main")


def python_command(file: str, *arguments: str) -> Callable[[Setting], Sequence[str]]:
    """Return how a peer written in Python is started."""
    command = (str(BENCH_PYTHON), str(PEERS / file), *arguments)
    return lambda setting: command  # noqa: ARG005  (its environment tells it all)


def headrace(name: str, title: str, guarantee: Guarantee) -> Peer:
    """Return ours."""
    return Peer(
        name,
        title,
        guarantee,
        headrace_command,
        {"HEADRACE_COMMIT_INTERVAL_MS": str(COMMIT_MS)},
        group=lambda setting: f"headrace.{setting.group}.{setting.job}",
    )


def streams(
    name: str, title: str, guarantee: Guarantee, *, is_cached: bool, jobs: tuple[str, ...]
) -> Peer:
    """Return one of Kafka Streams' ways."""
    commit_ms = COMMIT_MS if guarantee == "exactly_once" else STREAMS_COMMIT_MS
    environment = {
        "BENCH_CACHE": "yes" if is_cached else "no",
        "BENCH_COMMIT_INTERVAL_MS": str(commit_ms),
    }
    return Peer(
        name, title, guarantee, streams_command, environment, jobs=jobs, warm_s_min=JIT_WARM_S
    )


HEADRACE = headrace("headrace", "**headrace**, at least once", "at_least_once")
HEADRACE_EXACTLY = headrace("headrace-exactly", "**headrace**, exactly once", "exactly_once")
STREAMS = streams(
    "streams",
    "Kafka Streams, at least once",
    "at_least_once",
    is_cached=True,
    jobs=("vwap", "filter"),
)
STREAMS_UNCACHED = streams(
    "streams-uncached",
    "Kafka Streams, at least once, its store not cached",
    "at_least_once",
    is_cached=False,
    jobs=("vwap",),
)
STREAMS_EXACTLY = streams(
    "streams-exactly",
    "Kafka Streams, exactly_once_v2",
    "exactly_once",
    is_cached=True,
    jobs=("vwap", "filter"),
)
QUIX = Peer(
    "quix",
    "Quix Streams, at least once",
    "at_least_once",
    python_command("quix_job.py"),
    {},
    records_max=400_000,
)
BYTEWAX = Peer(
    "bytewax",
    "Bytewax, at least once, no changelog",
    "at_least_once",
    python_command("bytewax_job.py"),
    {},
    records_max=1_000_000,
)
FAUST = Peer(
    "faust",
    "stock Faust, at least once, not idempotent",
    "at_least_once",
    python_command("faust_job.py", "worker", "--loglevel=warn", "--without-web"),
    {},
    records_max=40_000,
)

PEERS_ALL = (
    *(HEADRACE, HEADRACE_EXACTLY),
    *(STREAMS, STREAMS_UNCACHED, STREAMS_EXACTLY),
    *(QUIX, BYTEWAX, FAUST),
)
