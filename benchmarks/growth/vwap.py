"""Runs the running VWAP in one shape after another on one Kafka."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.progress import Rates, follow, rates_of
from benchmarks.throughput.catalog import HEADRACE_EXACTLY, JOBS, PROJECT, Setting
from benchmarks.throughput.cluster import TRADE_SCHEMA, Cluster
from benchmarks.throughput.trades import SIZE_LOTS_MIN, SYMBOLS, Expected, draw
from headrace.errors import InvariantError, TransientError
from headrace.servers import Servers
from headrace.up.lag import LaneGroup
from headrace.up.processes import Process, free_port, stop_all

JOB = next(job for job in JOBS if job.name == "vwap")


@dataclass(frozen=True, slots=True)
class Shape:
    """What grows; the rest stays as in the other jobs."""

    keys: int = SYMBOLS
    partitions: int = 8
    workers: int = 1


class Vwap:
    """The job in any shape, over so many trades."""

    def __init__(self, servers: Servers, home: Path, records: int) -> None:
        (kafka,) = servers.states()
        if kafka.pid is None:
            raise TransientError("the embedded Kafka has no process")
        self._bootstrap = servers.endpoints.kafka
        self._broker_pid = kafka.pid
        self._home = home
        self._records = records
        self._runs = 0
        self._inputs: dict[tuple[int, int], tuple[str, int, Expected]] = {}

    def run(self, shape: Shape) -> Rates:
        """Return what a shape comes to, in a run with nothing left of those before.

        Raises:  InvariantError if its output is wrong.
        """
        cluster = Cluster(self._bootstrap, self._broker_pid, shape.partitions)
        setting, expected = self._set_up(cluster, shape)
        groups = [LaneGroup(HEADRACE_EXACTLY.group(setting), {setting.input: shape.partitions})]
        with self._workers(setting, shape) as workers:
            rates = rates_of(follow(workers, self._bootstrap, groups))
        fault = cluster.fault_of(setting.output, JOB, expected)
        if fault:
            raise InvariantError(f"{shape}: {fault}")
        cluster.forget(setting.group)
        return rates

    def _set_up(self, cluster: Cluster, shape: Shape) -> tuple[Setting, Expected]:
        topic, schema_id, expected = self._input(cluster, shape)
        self._runs += 1
        group = f"grown-{self._runs}"
        output = f"{group}.output"
        cluster.create(output)
        setting = Setting(
            kafka=self._bootstrap,
            job=JOB.name,
            input=topic,
            output=output,
            group=group,
            state=self._home / group,
            input_schema_id=schema_id,
            output_schema_id=cluster.register(output, JOB.schema),
            size_lots_min=SIZE_LOTS_MIN,
            class_path="",
        )
        return setting, expected

    def _input(self, cluster: Cluster, shape: Shape) -> tuple[str, int, Expected]:
        """Return the topic of a shape's trades, its schema's id, what is to come; filled once."""
        key = shape.keys, shape.partitions
        if key not in self._inputs:
            trades = draw(self._records, shape.keys)
            topic = f"bench.trade-{shape.keys}-{shape.partitions}.v1"
            schema_id = cluster.register(topic, TRADE_SCHEMA)
            cluster.fill(topic, trades, schema_id)
            self._inputs[key] = topic, schema_id, JOB.expected(trades)
        return self._inputs[key]

    @contextmanager
    def _workers(self, setting: Setting, shape: Shape) -> Iterator[list[Process]]:
        """Run so many workers, each with its own disk, for as long as the context lasts."""
        workers = []
        for number in range(shape.workers):
            home = setting.state / str(number)
            home.mkdir(parents=True)
            environment = setting.environment(HEADRACE_EXACTLY) | {
                "HEADRACE_HOME": str(home),
                "BENCH_PARTITIONS": str(shape.partitions),
            }
            port = f"--web-port={free_port()}"
            command = ["worker", setting.job, port, f"--project={PROJECT}"]
            workers.append(Process(f"worker-{number}", command, environment, home / "log"))
        for worker in workers:
            worker.start()
        try:
            yield workers
        finally:
            stop_all(workers)
