"""`headrace control`: say a word to a running graph, such as halt."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from headrace import limits
from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, AsJson, ProjectFolder, TopologyName
from headrace.errors import TopologyError, UsageError
from headrace.kafka.partitioner import partitions_of
from headrace.kafka.producer import Producer
from headrace.project import Project
from headrace.settings import Settings
from headrace.topology import Control, Topology

ANY_OPTION = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Which options a control takes its topology says; typer hands on those it does not know."""

app = typer.Typer(add_completion=False)


@app.command("control", context_settings=ANY_OPTION)
def control(
    context: typer.Context,
    topology: TopologyName,
    name: Annotated[str | None, typer.Argument(help="What to say; listed if absent.")] = None,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Say a control of a topology to whoever runs it; it holds until another is said.

    Returns once Kafka has every record of it. Options of the control itself, as `--account A`, are
    listed with it.
    """
    from headrace.runtime.assemble import ensure_topics, load_codecs, open_registry
    from headrace.runtime.emission import encode_records

    log_to_stderr()
    found = Project(Path(project))
    chosen = found.topology(topology)
    if name is None:
        _list(chosen)
        return
    spoken = chosen.control(name)
    options = parse_options(spoken, context.args)
    record = spoken.record(options, time.time_ns())
    settings = Settings.load()
    with connected(settings, only=frozenset({"kafka"})) as endpoints:
        ensure_topics(chosen, endpoints.kafka)
        registry = open_registry(settings, endpoints.kafka)
        codec = load_codecs(found, registry, [spoken.topic])[spoken.topic.name]
        values, keys = encode_records(_columns(spoken, record, codec.schema.arrow), codec)
        partitions = spoken_partitions(spoken, options, keys)
        producer = Producer(endpoints.kafka, "headrace-control")
        for partition in partitions:
            producer.send(spoken.topic.name, values, keys, partition=partition)
        producer.flush(limits.CONTROL_TIMEOUT_S)
    _tell(spoken, record, partitions, as_json=as_json)


def parse_options(spoken: Control, arguments: Sequence[str]) -> dict[str, str]:
    """Return the options of a control by name, from `--name value` and `--name=value`.

    Raises:  UsageError for what is no option of it, lacks its value, or is given twice.
    """
    known = ", ".join(f"--{option}" for option in spoken.options) or "none"
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word, has_value, value = rest.pop(0).partition("=")
        option = word.removeprefix("--")
        if not word.startswith("--") or option not in spoken.options:
            raise UsageError(f"control {spoken.name} has no option {word!r}; it has {known}")
        if option in found:
            raise UsageError(f"control {spoken.name}: option {word} is given twice")
        if not has_value and not rest:
            raise UsageError(f"control {spoken.name}: option {word} lacks its value")
        found[option] = value if has_value else rest.pop(0)
    return found


def spoken_partitions(
    spoken: Control, options: Mapping[str, str], keys: Sequence[bytes | None]
) -> list[int]:
    """Return the partitions a control's record goes to."""
    topic = spoken.topic
    if spoken.address in options:
        found: list[int] = partitions_of(keys, topic.partitions).tolist()
        return found
    return list(range(topic.partitions))


def _columns(spoken: Control, record: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    if set(record) != set(schema.names):
        raise TopologyError(
            f"control {spoken.name}: expected a record with the fields {sorted(schema.names)} of "
            f"{spoken.topic.schema}, found {sorted(record)}"
        )
    return pa.RecordBatch.from_pylist([dict(record)], schema=schema)


def _list(chosen: Topology) -> None:
    for each in chosen.controls:
        sys.stdout.write(f"{each.name}: {each.says}\n")
        for option, says in each.options.items():
            sys.stdout.write(f"  --{option}: {says}\n")


def _tell(
    spoken: Control, record: Mapping[str, Any], partitions: list[int], *, as_json: bool
) -> None:
    if as_json:
        said = {
            "control": spoken.name,
            "topic": spoken.topic.name,
            "record": dict(record),
            "partitions": partitions,
        }
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
        return
    fields = ", ".join(f"{field} {value!r}" for field, value in record.items())
    count = len(partitions)
    where = f"all {count} partitions" if count > 1 else f"partition {partitions[0]}"
    sys.stdout.write(f"said {spoken.name} on {spoken.topic.name}, {where}: {fields}\n")
