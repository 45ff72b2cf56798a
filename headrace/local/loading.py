"""What a topology's steps need, loaded without a registry: codecs and models."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from headrace.avro.schema import AvroSchema
from headrace.errors import TopologyError
from headrace.project import Project
from headrace.runtime.chain import LoadedStep
from headrace.runtime.emission import TopicCodec
from headrace.runtime.loading import SchemaIds, codecs_of, load_step
from headrace.topology import Step, Topic, Topology

SCHEMA_ID = 1


def same_id(topic: Topic, schema: AvroSchema) -> int:  # noqa: ARG001  (what a SchemaIds is given)
    """Return one id for every schema: nothing leaves the process."""
    return SCHEMA_ID


def load_codecs(
    schemas: Path, topics: Iterable[Topic], schema_ids: SchemaIds = same_id
) -> dict[str, TopicCodec]:
    """Return by topic how its records are written.

    Raises:  SchemaError if a schema is missing or cannot be used.
    """
    return codecs_of(schemas, topics, schema_ids)


def load_steps(
    project: Project, steps: Sequence[Step], codecs: Mapping[str, TopicCodec]
) -> dict[str, LoadedStep]:
    """Return by name the steps with their models loaded and held against what they read.

    Raises:  ContractError if a model does not fit.
    """
    return {step.name: load_step(project, step, codecs) for step in steps}


def steps_behind(topology: Topology, topics: Sequence[str]) -> tuple[Step, ...]:
    """Return the steps that write these topics, and all that decide what those steps read.

    Raises:  TopologyError if no step writes one of the topics.
    """
    unwritten = set(topics) - {topic.name for step in topology.steps for topic in step.writes}
    if unwritten:
        raise TopologyError(
            f"topology {topology.name}: expected a step that writes "
            f"{', '.join(sorted(unwritten))}, found none; name topics of `headrace topics`"
        )
    wanted = set(topics)
    needed: set[str] = set()
    # Loops bring back steps that were passed over: until none is added.
    while more := [
        step
        for step in topology.steps
        if step.name not in needed and wanted & {topic.name for topic in step.writes}
    ]:
        needed |= {step.name for step in more}
        wanted |= {topic.name for step in more for topic in step.reads}
    return tuple(step for step in topology.steps if step.name in needed)
