"""`headrace topics`: what a topology keeps in Kafka."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, AsJson, ProjectFolder, TopologyName
from headrace.kafka.admin import Admin
from headrace.project import Project
from headrace.runtime.assemble import Choice, ensure_topics
from headrace.settings import Settings
from headrace.up.lag import LagWatch, lane_groups

app = typer.Typer(add_completion=False)


@app.command("topics")
def topics(
    topology: TopologyName,
    create: Annotated[bool, typer.Option("--create", help="Create what is missing.")] = False,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """List a topology's topics: schema, key, partitions, records, and dead letters."""
    log_to_stderr()
    chosen = Project(Path(project)).topology(topology)
    with connected(Settings.load(), only=frozenset({"kafka"})) as endpoints:
        created = ensure_topics(chosen, endpoints.kafka) if create else []
        existing = Admin(endpoints.kafka).partitions()
        names = {
            name: topic.partitions
            for topic in chosen.topics
            for name in (topic.name, topic.dead)
            if name in existing
        }
        counts = LagWatch(endpoints.kafka, lane_groups(chosen, Choice())).counts(names)
    rows = [
        {
            "topic": topic.name,
            "schema": topic.schema,
            "key": "/".join(topic.key),
            "partitions": existing.get(topic.name, 0),
            "cleanup": topic.cleanup,
            "records": counts.get(topic.name, 0),
            "dead": counts.get(topic.dead, 0),
            "exists": topic.name in existing,
        }
        for topic in chosen.topics
    ]
    if as_json:
        sys.stdout.write(json.dumps({"topics": rows, "created": created}, indent=2) + "\n")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
