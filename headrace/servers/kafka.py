"""The embedded Apache Kafka: one KRaft node on a JDK from a wheel."""

import base64
import secrets
import shutil
import signal
import socket
from pathlib import Path

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from headrace.errors import UsageError
from headrace.servers.class_archive import ClassArchive, making, recording
from headrace.servers.command import Command, run_to_end
from headrace.servers.home import Home
from headrace.servers.jars import java_program, kafka_jars
from headrace.servers.ports import HOST
from headrace.settings import Settings

_log = structlog.get_logger(__name__)

_PROBE_TIMEOUT_S = 2.0
_META_KEYS = frozenset({"version", "cluster.id", "node.id", "directory.id"})

_CONFIG = """\
# Written by headrace at every start; changes here are lost.
process.roles=broker,controller
node.id=1
# Static voters, not --standalone: the controller's port may change from run to run, and a dynamic
# quorum writes it into the log.
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# A group may ask for less: a killed worker is replaced in seconds, not after 45.
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=100
# What a killed worker left open is closed soon after its time, not up to 10 s later.
transaction.abort.timed.out.transaction.cleanup.interval.ms=2000
# A killed broker may register again only when its last session has run out: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# One node.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# 50 by default, for clusters: each costs files, and time when the first group joins.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=8

# Kept by size, not by age: age is counted from a record's own time, and replayed records of last
# year would be deleted as they arrive. 1 GiB a partition holds a day of a busy market.
log.retention.ms=-1
log.retention.bytes=1073741824
log.segment.bytes=134217728
# A feed that is replayed and shifted may run ahead of the clock.
log.message.timestamp.after.max.ms=9223372036854775807
# 128 MiB by default: a quarter of our heap. 32 MiB indexes 1.2 M keys a pass.
log.cleaner.dedupe.buffer.size=33554432

# A 10 MB batch and its headers fit with room.
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
socket.request.max.bytes=104857600
# Two cores, shared with the workers.
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
"""

# Kafka's own collector settings, with the threads of two cores; no files left in /tmp.
_JVM = (
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:ParallelGCThreads=2",
    "-XX:ConcGCThreads=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",  # the supervisor starts it again; a zombie broker helps nobody
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients=error",
)
# Formatting lives for a second: not worth optimising code for.
_FORMAT_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


class KafkaServer:
    """What the supervisor needs to know of Kafka."""

    name = "kafka"
    # Writes its logs' clean shutdown marker: the next start checks nothing.
    stop_signal = signal.SIGTERM

    def __init__(
        self,
        home: Home,
        settings: Settings,
        port: int,
        controller_port: int,
        *,
        notes: Path | None = None,
    ) -> None:
        """Have it keep its data in `home`; in a rehearsal it leaves `notes` at its end."""
        self.where = self.connection = f"{HOST}:{port}"
        self._home = home
        self._settings = settings
        self._port, self._controller_port = port, controller_port
        self._folder = home.folder("kafka")
        self._data = self._folder / "data"
        self._config = self._folder / "server.properties"
        self._scratch = self._folder / "tmp"
        self._java_program = java_program()
        self._notes = notes
        self._jars: tuple[Path, ...] = ()
        self._learned: tuple[str, ...] = ()
        if set(str(home.path)) & set(",:\\\n"):
            raise UsageError(f"HEADRACE_HOME={home.path}: Kafka takes no , : or \\ in its paths")

    def prepare(self) -> None:
        """Fetch the jars, write the configuration, heal and format the data folder."""
        self._jars = kafka_jars(self._settings.cache, self._settings.resolve_timeout_s)
        self._learned = ClassArchive(self._settings.cache, self._jars).options()
        shutil.rmtree(self._scratch, ignore_errors=True)  # native code a killed broker left
        self._scratch.mkdir()
        ports = {"port": self._port, "controller_port": self._controller_port}
        config = _CONFIG.format(host=HOST, data=self._data, **ports)
        self._config.write_text(config, encoding="ascii")
        if self._data.exists() and any(self._data.iterdir()):
            why = _unusable(self._data)
            if not why:
                return
            self._home.move_aside(self._data, why)
        self._data.mkdir(exist_ok=True)
        self._format()

    def command(self) -> Command:
        """Return how to start the broker."""
        # As Kafka's own scripts have it: a heap of one size, or it grows for as long as it runs.
        heap = tuple(f"{bound}{self._settings.kafka_heap_mb}m" for bound in ("-Xms", "-Xmx"))
        classes = self._learned if self._notes is None else recording(self._notes)
        return self._java((*heap, *_JVM, *classes), "kafka.Kafka", str(self._config))

    def archiving(self, notes: Path, archive: Path) -> Command:
        """Return how to make an archive of the notes of a rehearsal that is over."""
        return self._java((*_JVM, *making(notes, archive)))

    def answers(self) -> bool:
        """Say whether the broker names itself to a client."""
        try:  # first a bare connection: librdkafka complains aloud about ports that are shut
            socket.create_connection((HOST, self._port), timeout=_PROBE_TIMEOUT_S).close()
            return bool(brokers(self.connection, _PROBE_TIMEOUT_S))
        except (OSError, KafkaException):
            return False

    def _format(self) -> None:
        tool = ("kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", str(self._config))
        run_to_end(
            self._java((*_FORMAT_JVM, *self._learned), *tool),
            f"formatting {self._data} for Kafka",
            self._settings.startup_timeout_s,
        )
        _log.info("kafka_formatted", data=str(self._data))

    def _java(self, options: tuple[str, ...], *arguments: str) -> Command:
        class_path = ":".join(str(jar) for jar in self._jars)
        scratch = f"-Djava.io.tmpdir={self._scratch}"
        argv = ("java", *options, scratch, "-cp", class_path, *arguments)
        return Command(program=self._java_program, argv=argv, cwd=self._folder)


def brokers(bootstrap: str, timeout_s: float) -> list[str]:
    """Return the addresses of a cluster's brokers.

    Raises:  KafkaException if none answers within `timeout_s`.
    """
    admin = AdminClient(
        {
            "bootstrap.servers": bootstrap,
            "socket.timeout.ms": int(timeout_s * 1_000),
            "log_level": 0,  # the caller says what went wrong
        }
    )
    return [str(broker) for broker in admin.list_topics(timeout=timeout_s).brokers.values()]


def _unusable(data: Path) -> str:
    """Say why Kafka could not start on this data folder, or nothing."""
    try:
        lines = (data / "meta.properties").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return "it has no meta.properties: formatting it was interrupted"
    except UnicodeDecodeError:
        return "its meta.properties is not text"
    pairs = [line.partition("=") for line in lines if not line.startswith("#")]
    missing = sorted(_META_KEYS - {key.strip() for key, _, value in pairs if value.strip()})
    if missing:
        return f"its meta.properties lacks {', '.join(missing)}"
    if not any((data / name).exists() for name in ("bootstrap.checkpoint", "__cluster_metadata-0")):
        return "it has no bootstrap.checkpoint: formatting it was interrupted"
    return ""


def _cluster_id() -> str:
    """Return a new cluster id as Kafka writes them: 16 bytes, URL-safe, not taken for an option."""
    while True:
        text = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode("ascii").rstrip("=")
        if not text.startswith("-"):
            return text
