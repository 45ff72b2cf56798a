"""The Kafka topics a topology needs, and how each is kept."""

from collections.abc import Sequence

from headrace import limits
from headrace.kafka.admin import TopicPlan
from headrace.runtime.chain import fused
from headrace.topology import Step, Topology

FEED_POSITIONS = "headrace.feed-position.v1"

RETENTION_MS = 7 * 24 * 3_600_000
"""A week: long enough to replay an incident, short enough not to fill a disk."""

RETENTION_BYTES = 4 * 2**30
"""4 GiB a partition, whichever comes first."""

SEGMENT_BYTES = 256 * 2**20

LOG = {
    "max.message.bytes": str(limits.RECORD_BYTES_MAX),
    "cleanup.policy": "delete",
    "retention.ms": str(RETENTION_MS),
    "retention.bytes": str(RETENTION_BYTES),
    "segment.bytes": str(SEGMENT_BYTES),
    # Outputs keep the time of what caused them; a replay may be of another year.
    "message.timestamp.before.max.ms": str(2**63 - 1),
    "message.timestamp.after.max.ms": str(2**63 - 1),
}
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": str(SEGMENT_BYTES // 4),
    "min.cleanable.dirty.ratio": "0.3",
    "max.message.bytes": str(limits.RECORD_BYTES_MAX),
}

REFERENCE = COMPACTED | {
    # A worker that was away for longer may keep rows that are gone: it would not hear of them.
    "delete.retention.ms": str(30 * 24 * 3_600_000),
}


def app_name(topology: Topology) -> str:
    """Return the name under which Kafka and Faust know a topology."""
    return f"headrace.{topology.name}"


def lane_name(topology: Topology, steps: Sequence[Step]) -> str:
    """Return the consumer group of a run of fused steps."""
    return f"{app_name(topology)}.{'+'.join(step.name for step in steps)}"


def sink_lane_name(topology: Topology, sink: str) -> str:
    """Return the consumer group of a sink."""
    return f"{app_name(topology)}.sink-{sink}"


def gateway_lane_name(topology: Topology, gateway: str) -> str:
    """Return the consumer group of a gateway."""
    return f"{app_name(topology)}.gateway-{gateway}"


def gateway_changelog_topic(topology: Topology, gateway: str) -> str:
    """Return the compacted topic behind what a gateway knows of its commands."""
    return f"{gateway_lane_name(topology, gateway)}.changelog"


def changelog_topic(topology: Topology, steps: Sequence[Step]) -> str:
    """Return the compacted topic behind the state of a run of fused steps."""
    return f"{app_name(topology)}.{'-'.join(step.name for step in steps)}.changelog"


def plans(topology: Topology, runs: Sequence[Sequence[Step]] | None = None) -> list[TopicPlan]:
    """Return every topic to create: records, dead letters, changelogs, feed positions."""
    found = [TopicPlan(FEED_POSITIONS, 1, COMPACTED)]
    for topic in topology.topics:
        config = LOG if topic.cleanup == "delete" else COMPACTED
        if topic.reference:
            config = REFERENCE
        found.append(TopicPlan(topic.name, topic.partitions, config))
        found.append(TopicPlan(topic.dead, topic.partitions, LOG))
    for run in runs if runs is not None else fused(topology.steps):
        partitions = run[0].reads[0].partitions
        found.append(TopicPlan(changelog_topic(topology, run), partitions, COMPACTED))
    for gateway in topology.gateways:
        changelog = gateway_changelog_topic(topology, gateway.name)
        found.append(TopicPlan(changelog, gateway.reads[0].partitions, COMPACTED))
    return found
