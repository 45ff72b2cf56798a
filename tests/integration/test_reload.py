"""A project's agent is edited while `headrace up --reload` runs it on real servers."""

import os
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.servers import Servers
from tests.integration.sample_run import wait_for

pytestmark = pytest.mark.long

PROJECT = Path(__file__).parents[1] / "projects" / "counting"
COUNTS = "sample.count.v1"
STOP_S_MAX = 120


@contextmanager
def running(project: Path, home: Path, servers: Servers) -> Iterator[tuple[subprocess.Popen, Path]]:  # type: ignore[type-arg]
    """Give `headrace up counting --reload`, and the file of what it says; it is ended after."""
    found = servers.endpoints
    environment = {
        **os.environ,
        "HEADRACE_HOME": str(home),
        "HEADRACE_KAFKA": found.kafka,
        "HEADRACE_POSTGRES": found.postgres,
        "HEADRACE_REDIS": found.redis,
        "COLUMNS": "500",
    }
    said = home.with_suffix(".said")
    command = ["up", "counting", "--reload", "--feed=numbers:400000", f"--project={project}"]
    with said.open("w") as out:
        run = subprocess.Popen(
            [sys.executable, "-m", "headrace", *command],
            env=environment,
            cwd=project,
            stdout=out,
            stderr=out,
        )
    try:
        yield run, said
    finally:
        if run.poll() is None:
            run.send_signal(signal.SIGINT)
            run.wait(STOP_S_MAX)


def counts(bootstrap: str, project: Path) -> dict[str, list[tuple[int, int, int]]]:
    """Return by source, in the order of the log: sequence, frames so far, sum so far."""
    registry = SchemaLog(bootstrap)
    decoder = Decoder(load_schema(project / "schemas" / "avro", "count.v1"), registry.schema)
    found = defaultdict(list)
    for part in read_all(bootstrap, {COUNTS: 4}):
        for row in decoder.decode(part.values).records.to_pylist():
            found[row["source"]].append((row["sequence"], row["frames"], row["total"]))
    registry.close()
    return found


def record_schemas(project: Path) -> None:
    command = ["check", "--record", f"--project={project}"]
    subprocess.run(
        [sys.executable, "-m", "headrace", *command], cwd=project, check=True, capture_output=True
    )


def test_an_edited_agent_takes_over_where_the_old_one_ended(
    servers: Servers, tmp_path: Path
) -> None:
    """First an edit that the checks refuse, then one that turns the sign of what is written."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    record_schemas(project)
    agent = project / "agents" / "count_frames.py"
    text = agent.read_text()
    kafka = servers.endpoints.kafka

    with running(project, tmp_path / "home", servers) as (run, said):

        def says(words: str) -> bool:
            assert run.poll() is None, said.read_text()[-3_000:]
            return words in said.read_text()

        wait_for("the old code writes", lambda: says("") and bool(counts(kafka, project)))
        agent.write_text(text + "\nimport time\n")
        wait_for("the mistake is told", lambda: says("[agent-impure]"))
        agent.write_text(text.replace("tally.frames, tally.total)", "tally.frames, -tally.total)"))
        wait_for("the new code runs", lambda: says("agents/count_frames.py reloaded"))
        wait_for(
            "the new code writes",
            lambda: all(rows[-1][2] < 0 for rows in counts(kafka, project).values()),
        )
        run.send_signal(signal.SIGINT)
        assert run.wait(STOP_S_MAX) == 0, said.read_text()[-3_000:]

    found = counts(kafka, project)
    assert len(found) == 8
    for number in range(8):
        rows = found[f"source-{number}"]
        wanted, total = [], 0
        for place in range(len(rows)):
            total += number + 8 * place
            wanted.append((place + 1, place + 1, total))
        signs = ["-" if row[2] < 0 else "+" for row in rows if row[2]]
        assert [(sequence, frames, abs(sum_)) for sequence, frames, sum_ in rows] == wanted
        assert "".join(signs).strip("+").strip("-") == ""
        assert {"+", "-"} == {*signs}
