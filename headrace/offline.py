"""A topology over a feed without Kafka: the records it would write, to train and judge models."""

from collections.abc import Sequence

import pyarrow as pa

from headrace.batch import Part
from headrace.feed import Feed
from headrace.local.graph import LocalGraph
from headrace.local.loading import load_codecs, load_steps, steps_behind
from headrace.local.replay import replay
from headrace.local.task import Watch
from headrace.project import Project
from headrace.topology import Topology


def offline_tables(
    project: Project, topology: Topology, feed: Feed, topics: Sequence[str]
) -> dict[str, pa.Table]:
    """Return by topic what the topology writes there, given all that the feed holds.

    Runs the steps these topics need. Dead letters are left out.
    Raises:  TopologyError if no step writes one of the topics.
    """
    steps = steps_behind(topology, topics)
    touched = {t.name: t for step in steps for t in (*step.reads, *step.writes)}
    touched[topology.source.topic.name] = topology.source.topic
    codecs = load_codecs(project.schemas, touched.values())
    found: dict[str, list[pa.RecordBatch]] = {topic: [] for topic in topics}

    def keep(part: Part) -> None:
        found[part.topic].append(part.records)

    watch = Watch(parts=dict.fromkeys(topics, keep))
    graph = LocalGraph(load_steps(project, steps, codecs), codecs, watch)
    for _ in replay(feed, graph, codecs[topology.source.topic.name]):
        pass
    return {
        topic: pa.Table.from_batches(batches, codecs[topic].schema.arrow)
        for topic, batches in found.items()
    }
