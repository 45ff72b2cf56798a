"""From a topology's page to a running worker: schemas, models, topics and lanes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from uuid import uuid4

from headrace.avro.registry import HttpRegistry, Registry, subject_of
from headrace.avro.wire import Decoder
from headrace.errors import UsageError
from headrace.kafka.admin import Admin
from headrace.kafka.consumer import Consumer, Reader
from headrace.kafka.fetched import Place
from headrace.kafka.offsets import OffsetQuery
from headrace.kafka.producer import Producer
from headrace.kafka.schema_log import SchemaLog
from headrace.kafka.transaction import TransactionalProducer, fence
from headrace.project import Project
from headrace.runtime.app import HeadraceApp, add_lane, make_app
from headrace.runtime.chain import (
    LoadedStep,
    fused,
    is_exactly_once,
    outer_topics,
    tables_of,
    topics_aside,
)
from headrace.runtime.committer import AtLeastOnce, Committer, ExactlyOnce
from headrace.runtime.emission import TopicCodec
from headrace.runtime.gaps import GapWatch
from headrace.runtime.gateway_lane import gateway_lane
from headrace.runtime.intake import NO_ENDS, Intake
from headrace.runtime.lane import Lane
from headrace.runtime.loading import codecs_of, load_step
from headrace.runtime.processor import ChainProcessor
from headrace.runtime.sabotage import AsNobody, ClaimsFirst
from headrace.runtime.sink_processor import SINK_RECORDS_MAX, SinkProcessor, open_sink
from headrace.runtime.stats import Stats
from headrace.runtime.topics import (
    app_name,
    changelog_topic,
    gateway_lane_name,
    lane_name,
    plans,
    sink_lane_name,
)
from headrace.servers import Endpoints
from headrace.settings import Settings
from headrace.state.changelog import Changelog
from headrace.state.restorer import Restorer
from headrace.state.tables import layouts_of
from headrace.topology import Gateway, Sink, Step, Topic, Topology


def open_registry(settings: Settings, bootstrap: str) -> Registry:
    """Return the registry a setting names, or the one kept in Kafka."""
    if settings.schema_registry is not None:
        return HttpRegistry(settings.schema_registry)
    return SchemaLog(bootstrap)


def load_codecs(
    project: Project, registry: Registry, topics: Sequence[Topic]
) -> dict[str, TopicCodec]:
    """Return how each topic's records are written, with ids from the registry."""
    return codecs_of(
        project.schemas,
        topics,
        lambda topic, schema: registry.register(subject_of(topic.name), schema),
    )


def ensure_topics(
    topology: Topology, bootstrap: str, runs: Sequence[Sequence[Step]] | None = None
) -> list[str]:
    """Create the topics a topology lacks; return their names."""
    return Admin(bootstrap).ensure(plans(topology, runs))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which part of a topology a worker does: steps, sinks and gateways by name; all if none is.

    `fuse` runs neighbouring steps that share a key in one task.
    """

    steps: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    fuse: bool = True
    gateways: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Say whether nothing is chosen by name."""
        return not (self.steps or self.sinks or self.gateways)

    def runs(self, topology: Topology) -> list[list[Step]]:
        """Return the chosen steps, fused or one by one."""
        chosen = [s for s in topology.steps if self.is_everything or s.name in self.steps]
        for name in self.steps:
            topology.step(name)
        return fused(chosen) if self.fuse else [[step] for step in chosen]

    def chosen_sinks(self, topology: Topology) -> list[Sink]:
        """Return the chosen sinks."""
        names = [sink.name for sink in topology.sinks]
        for name in self.sinks:
            if name not in names:
                raise UsageError(
                    f"topology {topology.name} has no sink {name!r}; it has {', '.join(names)}"
                )
        return [sink for sink in topology.sinks if self.is_everything or sink.name in self.sinks]

    def chosen_gateways(self, topology: Topology) -> list[Gateway]:
        """Return the chosen gateways."""
        names = [gateway.name for gateway in topology.gateways]
        for name in self.gateways:
            if name not in names:
                raise UsageError(
                    f"topology {topology.name} has no gateway {name!r}; it has "
                    f"{', '.join(names) or 'none'}"
                )
        return [g for g in topology.gateways if self.is_everything or g.name in self.gateways]


class Assembly:
    """Builds the app of one worker process; steps read before the `ends` of their lane, if any."""

    def __init__(
        self,
        project: Project,
        topology: Topology,
        settings: Settings,
        endpoints: Endpoints,
        ends: Mapping[str, Mapping[Place, int]] = MappingProxyType({}),
    ) -> None:
        self._project = project
        self._topology = topology
        self._settings = settings
        self._endpoints = endpoints
        self._ends = ends
        # A worker without a name is a member that leaves when it ends.
        self._instance = settings.instance or uuid4().hex[:12]
        self._registry = open_registry(settings, endpoints.kafka)
        self._codecs = load_codecs(project, self._registry, topology.topics)

    def app(self, choice: Choice, web_port: int) -> HeadraceApp:
        """Return the app that does the chosen part; topics that are missing are created."""
        runs = choice.runs(self._topology)
        ensure_topics(self._topology, self._endpoints.kafka, runs)
        settings = self._settings
        app = make_app(app_name(self._topology), settings.home, web_port, settings.web_host)
        for run in runs:
            add_lane(app, self._chain_lane(app, run))
        for sink in choice.chosen_sinks(self._topology):
            add_lane(app, self._sink_lane(app, sink))
        for gateway in choice.chosen_gateways(self._topology):
            add_lane(app, self._gateway_lane(app, gateway))
        return app

    def _chain_lane(self, app: HeadraceApp, run: Sequence[Step]) -> Lane:
        name = lane_name(self._topology, run)
        loaded = [load_step(self._project, step, self._codecs) for step in run]
        topics, first = outer_topics(run), topics_aside(run)
        units = range(run[0].reads[0].partitions)
        intake = Intake(
            name,
            owner=run[0].name,
            topics=topics,
            consumer=self._consumer(name, first),
            decoders=self._decoders(topics),
            stats=app.stats,
            unit_of=lambda place: place[1],
            stand_by=units if self._settings.standby else (),
            first=first,
            ends=self._ends.get(name, NO_ENDS),
        )
        return Lane(
            name,
            intake=intake,
            processor=self._chain_processor(name, run, loaded, intake, app.stats),
            commit_interval_s=self._settings.commit_interval_ms / 1_000,
        )

    def _chain_processor(
        self,
        name: str,
        run: Sequence[Step],
        loaded: Sequence[LoadedStep],
        intake: Intake,
        stats: Stats,
    ) -> ChainProcessor:
        bootstrap = self._endpoints.kafka
        owner = f"{name}.{self._instance}"
        topic = changelog_topic(self._topology, run)
        layouts = layouts_of(tables_of(run))
        ends = Reader(bootstrap, f"{topic}-end")
        is_fencing = is_exactly_once(run) and self._settings.sabotage != "fencing"
        restorer = Restorer(
            topic,
            bootstrap,
            self._settings.home / "state" / name,
            owner=owner,
            layouts=layouts,
            fence=partial(fence, bootstrap) if is_fencing else _fence_nobody,
        )
        producer, committer = self._committer(name, run, owner)
        is_sound = self._settings.sabotage != "tracker"
        kind = ChainProcessor if is_sound else partial(ClaimsFirst, lambda: intake.group)
        return kind(
            loaded,
            producer=producer,
            committer=committer,
            restorer=restorer,
            changelog_end=lambda partition: ends.bounds(topic, partition)[1],
            gaps=GapWatch(OffsetQuery(bootstrap).ends_at_once),
            owner=owner,
            layouts=layouts,
            stats=stats,
            dead_topics={topic.name: topic.dead for topic in self._topology.topics},
        )

    def _committer(self, name: str, run: Sequence[Step], owner: str) -> tuple[Producer, Committer]:
        """Return how a chain writes, and how what it wrote is made to count."""
        bootstrap = self._endpoints.kafka
        topic = changelog_topic(self._topology, run)
        sabotage = self._settings.sabotage
        if not is_exactly_once(run) or sabotage == "transaction":
            producer = Producer(bootstrap, name)
            return producer, AtLeastOnce(producer, Changelog(topic, producer))
        transactional = TransactionalProducer(bootstrap, name, owner)
        committer = ExactlyOnce(transactional, Changelog(topic, transactional))
        if sabotage == "fencing":
            nobody = OffsetQuery(bootstrap, name).metadata()
            return transactional, AsNobody(committer, nobody)
        return transactional, committer

    def _sink_lane(self, app: HeadraceApp, sink: Sink) -> Lane:
        name = sink_lane_name(self._topology, sink.name)
        schemas = {topic.name: self._codecs[topic.name].schema for topic in sink.reads}
        target = open_sink(
            sink,
            topology=self._topology.name,
            schemas=schemas,
            endpoints=self._endpoints,
            migrations=self._project.migrations,
        )
        processor = SinkProcessor(
            sink.name,
            target,
            producer=Producer(self._endpoints.kafka, name),
            stats=app.stats,
        )
        topics = [topic.name for topic in sink.reads]
        intake = Intake(
            name,
            owner=processor.owner,
            topics=topics,
            consumer=self._consumer(name),
            decoders=self._decoders(topics),
            stats=app.stats,
            unit_of=lambda place: place,
            records_max=SINK_RECORDS_MAX,
            behind_max=SINK_RECORDS_MAX,
        )
        return Lane(
            name,
            intake=intake,
            processor=processor,
            commit_interval_s=self._settings.commit_interval_ms / 1_000,
        )

    def _gateway_lane(self, app: HeadraceApp, gateway: Gateway) -> Lane:
        return gateway_lane(
            self._topology,
            gateway,
            bootstrap=self._endpoints.kafka,
            consumer=self._consumer(gateway_lane_name(self._topology, gateway.name)),
            codecs=self._codecs,
            decoders=self._decoders([topic.name for topic in gateway.reads]),
            instance=self._instance,
            settings=self._settings,
            stats=app.stats,
        )

    def _consumer(self, group: str, first: Sequence[str] = ()) -> Consumer:
        timeout_ms = self._settings.session_timeout_ms
        Admin(self._endpoints.kafka).set_session(group, timeout_ms)
        instance = self._settings.instance
        return Consumer(self._endpoints.kafka, group, group, instance, first=first)

    def _decoders(self, topics: Sequence[str]) -> dict[str, Decoder]:
        codecs = [self._codecs[name] for name in topics]
        return {
            codec.topic.name: Decoder(
                codec.schema, self._registry.schema, keeps_tombstones=codec.topic.reference
            )
            for codec in codecs
        }


def _fence_nobody(owner: str) -> None:
    """Without transactions there is nothing that an earlier owner could have left open."""
