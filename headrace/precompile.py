"""Compiles what a topology's batches need before the first one comes, and keeps it on disk."""

from collections.abc import Sequence

from headrace.feed import Feed
from headrace.kafka.partitioner import partition_of
from headrace.kafka.record_batches import compile_kernels
from headrace.offline import offline_tables
from headrace.project import Project
from headrace.topology import Topology


def precompile(project: Project, topology: Topology, feed: Feed) -> Sequence[str]:
    """Run a feed through every step, and the client's kernels on nothing; return the steps run.

    Kernels are compiled when they are first called, for the kinds of arguments they are given.
    """
    partition_of(b"", 1)
    compile_kernels()
    topics = {topic.name for step in topology.steps for topic in step.writes}
    offline_tables(project, topology, feed, sorted(topics))
    return [step.name for step in topology.steps]
