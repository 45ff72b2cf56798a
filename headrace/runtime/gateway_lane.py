"""From a gateway on a topology's page to the lane that runs it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from headrace.avro.wire import Decoder
from headrace.kafka.consumer import Consumer, Reader
from headrace.kafka.transaction import TransactionalProducer, fence
from headrace.runtime.emission import TopicCodec
from headrace.runtime.gateway_journal import KafkaJournal
from headrace.runtime.gateway_processor import GATEWAY_RECORDS_MAX, GatewayProcessor, owner_of
from headrace.runtime.intake import Intake
from headrace.runtime.lane import Lane
from headrace.runtime.stats import Stats
from headrace.runtime.topics import gateway_changelog_topic, gateway_lane_name
from headrace.settings import Settings
from headrace.state.changelog import Changelog
from headrace.state.restorer import Restorer
from headrace.topology import Gateway, Topology

LAYOUTS = {"gateway": "gateway.v1"}
"""How the pages of a desk are written; another number for pages written in another way."""


def gateway_lane(
    topology: Topology,
    gateway: Gateway,
    *,
    bootstrap: str,
    consumer: Consumer,
    codecs: Mapping[str, TopicCodec],
    decoders: Mapping[str, Decoder],
    instance: str,
    settings: Settings,
    stats: Stats,
) -> Lane:
    """Return the lane of a gateway; `consumer` is a member of the group of the lane's name.

    It always works in transactions: an intent that may or may not be written is none.
    """
    name = gateway_lane_name(topology, gateway.name)
    (reports,) = gateway.writes
    intake = Intake(
        name,
        owner=owner_of(gateway),
        topics=[topic.name for topic in gateway.reads],
        consumer=consumer,
        decoders=decoders,
        stats=stats,
        unit_of=lambda place: place[1],
        stand_by=range(gateway.reads[0].partitions) if settings.standby else (),
        records_max=GATEWAY_RECORDS_MAX,
    )
    processor = GatewayProcessor(
        gateway,
        gateway.open(),
        journal=_journal(
            gateway_changelog_topic(topology, gateway.name),
            bootstrap,
            name=name,
            owner=f"{name}.{instance}",
            folder=settings.home / "state" / name,
        ),
        codec=codecs[reports.name],
        group=lambda: intake.group,
        stats=stats,
    )
    return Lane(
        name,
        intake=intake,
        processor=processor,
        commit_interval_s=settings.commit_interval_ms / 1_000,
    )


def _journal(
    topic: str,
    bootstrap: str,
    *,
    name: str,
    owner: str,
    folder: Path,
) -> KafkaJournal:
    producer = TransactionalProducer(bootstrap, name, owner)
    ends = Reader(bootstrap, f"{topic}-end")
    return KafkaJournal(
        producer=producer,
        changelog=Changelog(topic, producer),
        changelog_end=lambda partition: ends.bounds(topic, partition)[1],
        restorer=Restorer(
            topic, bootstrap, folder, owner=owner, layouts=LAYOUTS, fence=partial(fence, bootstrap)
        ),
        owner=owner,
        layouts=LAYOUTS,
    )
