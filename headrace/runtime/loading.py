"""What steps need before they run: codecs of the topics they touch, and models."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from headrace.avro.schema import AvroSchema, load_schema
from headrace.project import Project
from headrace.runtime.chain import LoadedStep
from headrace.runtime.emission import TopicCodec
from headrace.topology import Step, Topic

SchemaIds: TypeAlias = Callable[[Topic, AvroSchema], int]
"""Returns the id that values of a topic carry."""


def codecs_of(
    schemas: Path, topics: Iterable[Topic], schema_ids: SchemaIds
) -> dict[str, TopicCodec]:
    """Return by topic how its records are written.

    Raises:  SchemaError if a schema is missing or cannot be used.
    """
    codecs = {}
    for topic in topics:
        schema = load_schema(schemas, topic.schema)
        codecs[topic.name] = TopicCodec(topic, schema, schema_ids(topic, schema))
    return codecs


def load_step(project: Project, step: Step, codecs: Mapping[str, TopicCodec]) -> LoadedStep:
    """Return a step with its models loaded and held against what it reads.

    Raises:  ContractError if a model does not fit.
    """
    arguments: dict[str, Any] = dict(step.parameters)
    if step.model is not None:
        # onnxruntime is 40 MB that only a step with a model needs.
        from headrace.inference import load_models

        schemas = {topic.schema: codecs[topic.name].schema.fields for topic in step.reads}
        bundles = (step.model, *step.challengers)
        arguments["model"], *challengers = load_models(project.folder, bundles, schemas)
        if challengers:
            arguments["challengers"] = tuple(challengers)
    names = {topic.name for topic in (*step.reads, *step.writes)}
    return LoadedStep(step, {name: codecs[name] for name in names}, arguments)
