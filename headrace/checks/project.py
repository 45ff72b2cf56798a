"""All rules over all topologies of a project."""

import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from headrace.checks.agents import check_agents
from headrace.checks.edges import check_edges
from headrace.checks.finding import Finding
from headrace.checks.history import History, check_history
from headrace.checks.topics import check_topics, load_schemas
from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.topology import Compatibility, Topic, Topology


def check_project(project: Project, names: Sequence[str] = ()) -> list[Finding]:
    """Return what is wrong with these topologies of a project, all of them if none is named."""
    findings: list[Finding] = []
    loaded: list[tuple[str, Topology]] = []
    for name in names or project.names():
        file = f"topologies/{name}.py"
        topology = load_topology(project, name, findings)
        if topology is not None:
            loaded.append((file, topology))
    topics = {topic.name: topic for _, topology in loaded for topic in topology.topics}
    schemas, errors = load_schemas(project.schemas, list(topics.values()))
    findings += [_no_schema(error) for error in errors]
    for file, topology in loaded:
        findings += check_topics(file, topology, schemas)
        findings += check_edges(file, topology, schemas)
        findings += check_agents(file, topology, project.folder, schemas)
    findings += _shared_topics(loaded)
    findings += check_history(
        history_of(project), _files(project), schemas, _rules(topics.values())
    )
    return sorted(set(findings))


def history_of(project: Project) -> History:
    """Return the recorded versions of a project's schemas."""
    return History(project.schemas.parent / "history")


def record_schemas(project: Project) -> list[Path]:
    """Write down every schema that is new or changed compatibly; return the files.

    What breaks its rule is not recorded: `check_project` tells it.
    """
    findings = check_project(project)
    stems = [f.part.removeprefix("schema ") for f in findings if f.rule == "schema-unrecorded"]
    history = history_of(project)
    return [
        history.record(stem, (project.schemas / f"{stem}.avsc").read_text())
        for stem in dict.fromkeys(stems)
    ]


def load_topology(project: Project, name: str, findings: list[Finding]) -> Topology | None:
    """Return a topology of a project; None, and a finding more, if it cannot be loaded."""
    file = f"topologies/{name}.py"
    try:
        topology = project.topology(name)
    except HeadraceError as error:
        problem, mend = str(error), "see what it expects"
    except Exception as error:  # noqa: BLE001  (a person's module may raise anything)
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = Path(last.filename)
        if where.is_relative_to(project.folder):
            file = f"{where.relative_to(project.folder)}:{last.lineno}"
        problem, mend = f"{type(error).__name__}: {error}", "mend the module so that it imports"
    else:
        if topology.name != name:
            findings.append(
                Finding(
                    file,
                    f"topology {topology.name}",
                    "topology-name",
                    f"expected the name of its file, {name}, found {topology.name}",
                    "give both one name: the command line knows the file, Kafka the name",
                )
            )
        return topology
    findings.append(Finding(file, f"topology {name}", "topology-loads", problem, mend))
    return None


def _no_schema(error: str) -> Finding:
    stem, _, problem = error.partition(": ")
    return Finding(
        f"schemas/avro/{stem}.avsc",
        f"schema {stem}",
        "schema-loads",
        problem,
        "mend or add the file, or mend Topic(schema=…)",
    )


def _shared_topics(loaded: Sequence[tuple[str, Topology]]) -> Iterator[Finding]:
    """Check that topologies mean the same by a topic that they share."""
    first: dict[str, tuple[str, Topic]] = {}
    for file, topology in loaded:
        for topic in topology.topics:
            other, known = first.setdefault(topic.name, (file, topic))
            if topic != known and other != file:
                yield Finding(
                    file,
                    f"topic {topic.name}",
                    "topic-shared",
                    f"expected it as {other} declares it, found another schema, key, number of "
                    "partitions or rule",
                    "declare it once, in schemas/topics.py, and import it in both",
                )


def _files(project: Project) -> dict[str, str]:
    return {path.stem: f"schemas/avro/{path.name}" for path in project.schemas.glob("*.avsc")}


def _rules(topics: Iterable[Topic]) -> dict[str, Compatibility]:
    return {topic.schema: topic.compatibility for topic in topics}
