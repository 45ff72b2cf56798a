"""Removes a version: its topics, its groups, what this home keeps of its state."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import UsageError
from headrace.kafka.admin import Admin
from headrace.runtime.topics import app_name
from headrace.topology import Topology
from headrace.versions.beginning import BEGIN
from headrace.versions.chains import require_stopped
from headrace.versions.kept import KeptVersion
from headrace.versions.versioned import MAIN, require_name, versioned


@dataclass(frozen=True, slots=True)
class Drop:
    """What is to go: topics and groups of Kafka, and what folders' names begin with."""

    topics: Sequence[str]
    groups: Sequence[str]
    prefix: str


def plan_drop(bootstrap: str, topology: Topology, version: KeptVersion) -> Drop:
    """Return what goes with a version; nothing is changed yet.

    Raises:  UsageError for the main line, and while somebody works on the version.
    """
    if version.name == MAIN:
        raise UsageError(
            f"topology {topology.name}: expected the name of a version, found {MAIN}, its main line"
        )
    require_name(version.name)
    admin = Admin(bootstrap)
    prefix = f"{app_name(topology)}.{version.name}."
    groups = [group for group in admin.groups() if group.startswith(prefix)]
    lanes = [group for group in groups if group != f"{prefix}{BEGIN}"]
    require_stopped(bootstrap, lanes, "stop the workers of the version first")
    topics = dropped_topics(topology, version.name, admin.partitions())
    return Drop(topics, groups, prefix)


def dropped_topics(topology: Topology, version: str, existing: Iterable[str]) -> list[str]:
    """Return which of these topics are a version's alone.

    By whole names, never by how one ends: `market.trade.v2` is no version `v2` of anything.
    """
    whole = versioned(topology, version)
    written = {topic.name for step in whole.steps for topic in step.writes}
    mine = written | {topic.dead for topic in whole.topics}
    prefix = f"{app_name(topology)}.{version}."
    return [
        name
        for name in sorted(existing)
        if name in mine or (name.startswith(prefix) and name.endswith(".changelog"))
    ]


def drop(bootstrap: str, planned: Drop, home: Path) -> None:
    """Do it. What is interrupted may be done again."""
    admin = Admin(bootstrap)
    admin.delete_groups(planned.groups)
    admin.delete_topics(planned.topics)
    folders = [*(home / "state").glob(f"{planned.prefix}*"), home / "faust" / planned.prefix[:-1]]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
