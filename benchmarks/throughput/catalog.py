"""The jobs, and who does them: how each peer is started, and how many events it is given."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.throughput.event_windows import (
    GRACE_NS,
    WINDOWS_NS,
    disordered,
    expected_windows,
)
from benchmarks.throughput.java import java_command
from benchmarks.throughput.trades import Expected, Trades, expected_filter, expected_vwap
from benchmarks.written import BENCH_PYTHON
from headrace.up.processes import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "benchmarks" / "peers"
PROJECT = ROOT / "benchmarks" / "projects" / "vwap"

Guarantee = Literal["at_least_once", "exactly_once"]

COMMIT_MS = 100
"""Between commits, ours and those of whoever writes in transactions, which hide what they hold."""
STREAMS_COMMIT_MS = 30_000
"""Kafka Streams' default at least once: the less often, the better for it."""
STREAMS_WINDOWS_COMMIT_MS = 1_000
"""At least once a window that is held in its cache comes out at a commit: with 30 s most of a run
would come out at its end. The cache takes up what a symbol trades in a second either way."""

NS_A_MS = 1_000_000

ROUNDS = 2
"""How often who is held against a target does its job. Who is far off, or only shown, does it once,
and so do all with windows, whose target is half of what is found: all of `make bench` is to take no
longer than 40 minutes."""

JIT_WARM_S = 8.0
"""Java's first seconds run interpreted: the rate was seen to rise eightfold, up to the eighth."""


@dataclass(frozen=True, slots=True)
class Input:
    """What some jobs read: how the trades are arranged for them, and the name of that."""

    name: str
    arranged: Callable[[Trades], Trades]


IN_ORDER = Input("trade", lambda trades: trades)
DISORDERED = Input("disordered", disordered)


@dataclass(frozen=True, slots=True)
class Job:
    """One task: the schema of its output, what is read, and what is to come out.

    `parts` are fields of an output that say what it is about where its key does not. It is done in
    no more than `rounds_max` rounds, over no more than `records_max` of the input.
    """

    name: str
    title: str
    schema: str
    expected: Callable[[Trades], Expected]
    input: Input = IN_ORDER
    parts: tuple[str, ...] = ()
    rounds_max: int = ROUNDS
    records_max: int | None = None


JOBS = (
    Job("vwap", "stateful VWAP", "vwap.v1", expected_vwap),
    Job(
        "filter",
        "stateless decode → filter → encode",
        "notional.v1",
        expected_filter,
        rounds_max=1,
        records_max=3_000_000,
    ),
    Job(
        "windows",
        "event-time windows of 1 s and 60 s",
        "window.v1",
        expected_windows,
        DISORDERED,
        ("symbol", "start_ns", "end_ns"),
        rounds_max=1,
        records_max=3_000_000,
    ),
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
            "BENCH_WINDOWS_MS": ",".join(str(size_ns // NS_A_MS) for size_ns in WINDOWS_NS),
            "BENCH_GRACE_MS": str(GRACE_NS // NS_A_MS),
            "BENCH_GUARANTEE": peer.guarantee,
            "HEADRACE_KAFKA": self.kafka,
            "HEADRACE_HOME": str(self.state),
            **peer.environment,
            **peer.environment_by_job.get(self.job, {}),
        }


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to do the jobs.

    `records_max`: of the input it is given no more, in a topic of its own, so that a slow one comes
    to the end. It takes part in no more than `rounds_max` rounds. `group`: its consumer group, by
    the name the run gives it; None if it has none. `environment_by_job`: what it is told for some
    job, over `environment`.
    """

    name: str
    title: str
    guarantee: Guarantee
    command: Callable[[Setting], Sequence[str]]
    environment: Mapping[str, str]
    jobs: tuple[str, ...] = ("vwap", "filter")
    records_max: int | None = None
    rounds_max: int = ROUNDS
    warm_s_min: float = 0.0
    group: Callable[[Setting], str] = lambda setting: setting.group
    environment_by_job: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def headrace_command(setting: Setting) -> Sequence[str]:
    """Return how our worker is started."""
    command = (sys.executable, "-m", "headrace", "worker", setting.job, f"--web-port={free_port()}")
    return (*command, f"--project={PROJECT}")


def streams_command(setting: Setting) -> Sequence[str]:
    """Return how Kafka Streams is started."""
    return java_command(setting.class_path, "Main")


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
        jobs=("vwap", "filter", "windows"),
        group=lambda setting: f"headrace.{setting.group}.{setting.job}",
    )


def streams(
    name: str,
    title: str,
    guarantee: Guarantee,
    *,
    jobs: tuple[str, ...],
    is_cached: bool = True,
    rounds_max: int = ROUNDS,
    records_max: int | None = None,
) -> Peer:
    """Return one of Kafka Streams' ways."""
    is_exact = guarantee == "exactly_once"
    environment = {
        "BENCH_CACHE": "yes" if is_cached else "no",
        "BENCH_COMMIT_INTERVAL_MS": str(COMMIT_MS if is_exact else STREAMS_COMMIT_MS),
    }
    windows_commit_ms = COMMIT_MS if is_exact else STREAMS_WINDOWS_COMMIT_MS
    return Peer(
        name,
        title,
        guarantee,
        streams_command,
        environment,
        jobs=jobs,
        records_max=records_max,
        rounds_max=rounds_max,
        warm_s_min=JIT_WARM_S,
        environment_by_job={"windows": {"BENCH_COMMIT_INTERVAL_MS": str(windows_commit_ms)}},
    )


HEADRACE = headrace("headrace", "**headrace**, at least once", "at_least_once")
HEADRACE_EXACTLY = headrace("headrace-exactly", "**headrace**, exactly once", "exactly_once")
STREAMS = streams(
    "streams",
    "Kafka Streams, at least once",
    "at_least_once",
    jobs=("vwap", "filter", "windows"),
)
STREAMS_UNCACHED = streams(
    "streams-uncached",
    "Kafka Streams, at least once, its store not cached",
    "at_least_once",
    jobs=("vwap",),
    is_cached=False,
    rounds_max=1,
    records_max=2_000_000,
)
STREAMS_EXACTLY = streams(
    "streams-exactly",
    "Kafka Streams, exactly_once_v2",
    "exactly_once",
    jobs=("vwap", "filter", "windows"),
)
QUIX = Peer(
    "quix",
    "Quix Streams, at least once",
    "at_least_once",
    python_command("quix_job.py"),
    {},
    jobs=("vwap", "filter", "windows"),
    records_max=150_000,
    rounds_max=1,
)
BYTEWAX = Peer(
    "bytewax",
    "Bytewax, at least once, no changelog",
    "at_least_once",
    python_command("bytewax_job.py"),
    {},
    records_max=750_000,
    rounds_max=1,
)
FAUST = Peer(
    "faust",
    "stock Faust, at least once, not idempotent",
    "at_least_once",
    python_command("faust_job.py", "worker", "--loglevel=warn", "--without-web"),
    {},
    records_max=40_000,
    rounds_max=1,
)

PEERS_ALL = (
    *(HEADRACE, HEADRACE_EXACTLY),
    *(STREAMS, STREAMS_UNCACHED, STREAMS_EXACTLY),
    *(QUIX, BYTEWAX, FAUST),
)
