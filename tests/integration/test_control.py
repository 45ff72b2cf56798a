"""`headrace control` on real Kafka: a halt reaches every partition and outlives a killed worker."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.trading.controls import EVERY_ACCOUNT
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.partitioner import partition_of, partitions_of
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.project import Project
from headrace.runtime.assemble import ensure_topics, load_codecs
from headrace.runtime.emission import encode_records
from headrace.servers import Servers
from headrace.settings import Settings
from schemas import topics
from tests.integration import sample_run as sample
from tests.integration.trading_run import ROOT, read_records
from tests.trading_batches import part
from tests.unit.test_execute_orders import approval
from topologies.trading import TOPOLOGY

ACCOUNTS = [f"account-{number}" for number in range(24)]
"""So many that every partition has some of them; execution knows no list of accounts."""


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Kafka of its own: these tests read whole topics of the trading graph."""
    settings = Settings.load(home=tmp_path_factory.mktemp("servers"), kafka=None)
    with Servers(settings, only=frozenset({"kafka"})) as running:
        ensure_topics(TOPOLOGY, running.endpoints.kafka)
        yield running.endpoints.kafka


def say(bootstrap: str, home: Path, *words: str) -> dict[str, Any]:
    """Run `headrace control trading`, and return what it says it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "control", "trading", "--json", *words],
        env={**os.environ, "HEADRACE_KAFKA": bootstrap, "HEADRACE_HOME": str(home)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def approve(bootstrap: str, *sequences: int) -> None:
    """Write approvals for each account, as risk would."""
    registry = SchemaLog(bootstrap)
    topic = topics.ORDER_APPROVED
    codec = load_codecs(Project(ROOT), registry, [topic])[topic.name]
    rows = [approval(number, account=account) for number in sequences for account in ACCOUNTS]
    values, keys = encode_records(part(topic, rows).records, codec)
    partitions = partitions_of(keys, topic.partitions)
    producer = Producer(bootstrap, "test")
    producer.send(topic.name, values, keys, partitions=partitions)
    producer.flush()
    registry.close()


def count(bootstrap: str, *names: str) -> int:
    return sum(1 for part in read_all(bootstrap, dict.fromkeys(names, 8)) for _ in part.values)


def outcomes(bootstrap: str, sequence: int) -> set[tuple[str, str, str]]:
    """Return account, state and reason of the orders of a signal, once all have an event."""
    expected = sequence * len(ACCOUNTS)
    sample.wait_for(
        "an event of every order", lambda: count(bootstrap, "order.event.v1") >= expected
    )
    return {
        (row["account"], row["state"], row["reason"])
        for row in read_records(bootstrap, topics.ORDER_EVENT)
        if row["signal_sequence"] == sequence
    }


def controls_of(bootstrap: str, account: str) -> list[dict[str, Any]]:
    """Return the records of an account, partition by partition."""
    records = read_records(bootstrap, topics.ACCOUNT_CONTROL)
    return [record for record in records if record["account"] == account]


def all_of(state: str, reason: str = "") -> set[tuple[str, str, str]]:
    return {(account, state, reason) for account in ACCOUNTS}


def executing(bootstrap: str, home: Path) -> Any:
    command = ("-m", "headrace", "worker", "trading", "--step=execution", f"--project={ROOT}")
    return sample.worker(bootstrap, home, *command)


def wait_until_obeyed(bootstrap: str) -> None:
    """Wait until the worker has committed every word said so far."""
    group = "headrace.trading.execution"

    def is_read() -> bool:
        query = OffsetQuery(bootstrap, group)
        places = places_of_topics({topics.ACCOUNT_CONTROL.name: 8})
        committed, ends = query.committed(places), query.ends(places)
        query.close()
        return all(committed.get(place, 0) >= end for place, end in ends.items())

    sample.wait_for("controls obeyed", is_read)


@pytest.mark.timeout(900)
def test_a_halt_said_while_nobody_was_there_holds_for_what_waited_meanwhile(
    own_servers: Servers, tmp_path: Path
) -> None:
    bootstrap = own_servers.endpoints.kafka
    ensure_topics(TOPOLOGY, bootstrap)
    waiting = range(1, 201)
    approve(bootstrap, *waiting)
    say(bootstrap, tmp_path, "halt", "--reason=drill")

    with executing(bootstrap, tmp_path / "worker"):
        found = outcomes(bootstrap, len(waiting))

    assert found == all_of("REJECTED", "account_halted")
    states = {row["state"] for row in read_records(bootstrap, topics.ORDER_EVENT)}
    assert states == {"REJECTED"}


@pytest.mark.timeout(900)
def test_halt_of_all_accounts_reaches_every_partition_and_outlives_a_killed_worker(
    bootstrap: str, tmp_path: Path
) -> None:
    with executing(bootstrap, tmp_path / "worker") as first:
        approve(bootstrap, 1)
        assert outcomes(bootstrap, 1) == all_of("SENT")
        said = say(bootstrap, tmp_path, "halt", "--reason=drill")
        wait_until_obeyed(bootstrap)
        approve(bootstrap, 2)
        assert outcomes(bootstrap, 2) == all_of("REJECTED", "account_halted")
        first.end(signal.SIGKILL)
    approve(bootstrap, 3)

    with executing(bootstrap, tmp_path / "worker"):
        after_restart = outcomes(bootstrap, 3)
        say(bootstrap, tmp_path, "resume")
        wait_until_obeyed(bootstrap)
        approve(bootstrap, 4)
        after_resume = outcomes(bootstrap, 4)

    assert after_restart == all_of("REJECTED", "account_halted")
    assert after_resume == all_of("SENT")
    assert said["partitions"] == list(range(8))
    records = controls_of(bootstrap, EVERY_ACCOUNT)
    assert [(each["state"], each["reason"]) for each in records] == 8 * [
        ("HALTED", "drill"),
        ("ACTIVE", ""),
    ]
    assert count(bootstrap, topics.VENUE_ORDER.name) == 2 * len(ACCOUNTS)


def test_halt_of_one_account_goes_to_its_partition(bootstrap: str, tmp_path: Path) -> None:
    said = say(bootstrap, tmp_path, "halt", "--account", "paper")

    (record,) = controls_of(bootstrap, "paper")
    assert said["partitions"] == [partition_of(b"paper", 8)]
    assert record == said["record"]
    assert record["state"] == "HALTED"


def test_a_control_nobody_knows_is_refused_with_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "control", "trading", "stop"],
        env={**os.environ, "HEADRACE_HOME": str(tmp_path)},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 2
    assert "it has halt, reduce, resume" in done.stderr
