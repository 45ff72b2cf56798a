"""`headrace dead` on real Kafka: letters are listed, shown, sent again or set aside, each once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.batch import Headers
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.producer import Producer
from headrace.kafka.read_all import read_all
from headrace.letters.letter import Letter
from headrace.letters.pending import PendingLetters
from headrace.runtime.chain import Dead
from headrace.runtime.dead_letters import send_dead
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.topology import Source, Step, Topic, Topology
from tests.integration.sample_run import PROJECT

TICK = Topic("sample.tick.v1", "tick.v1", key=("symbol",), partitions=4)


def graph(name: str) -> Topology:
    return Topology(name, Source(TICK, lambda _text, _options: None, ()), (Step("s", id, (TICK,)),))  # type: ignore[arg-type,return-value]


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings.load(home=tmp_path_factory.mktemp("servers"), kafka=None)
    with Servers(settings, only=frozenset({"kafka"})) as running:
        yield running.endpoints.kafka


@pytest.fixture
def fresh(bootstrap: str) -> str:
    """Kafka whose topics hold nothing that was not dealt with."""
    Admin(bootstrap).ensure([TopicPlan(TICK.name, 4), TopicPlan(TICK.dead, 4)], replicas=1)
    PendingLetters(bootstrap, graph("vwap"), [TICK]).deal("dropped", lambda _: True)
    return bootstrap


def letter(number: int, cause: str, headers: Headers = ()) -> Dead:
    value, key = b"\x00" + str(number).encode(), f"S{number}".encode()
    return Dead("vwap", TICK.name, number % 4, number, value, key, headers, cause, f"no {number}")


def write(bootstrap: str, *letters: Dead) -> None:
    producer = Producer(bootstrap, "test")
    send_dead(producer, letters)
    producer.flush()


def pending(bootstrap: str) -> list[Letter]:
    found = PendingLetters(bootstrap, graph("vwap"), [TICK]).read()
    return sorted(found, key=lambda each: each.origin_offset)


def ticks(bootstrap: str) -> list[tuple[int, bytes | None, bytes | None, Headers | None]]:
    found = []
    for part in read_all(bootstrap, {TICK.name: 4}):
        headers = part.headers or [()] * len(part.values)
        found += [
            (part.partition, key, value, list(own) or None)
            for key, value, own in zip(part.keys, part.values, headers, strict=True)
        ]
    return found


def test_what_is_redriven_comes_back_as_it_was_where_it_was(fresh: str) -> None:
    before = ticks(fresh)
    write(
        fresh,
        letter(5, "no_size", [("trace", b"t-5")]),
        letter(6, "no_price"),
        letter(9, "no_size"),
    )

    done = PendingLetters(fresh, graph("vwap"), [TICK]).deal(
        "redriven", lambda each: each.cause == "no_size"
    )

    assert done == {"redriven": 2, "kept": 1}
    assert sorted(row for row in ticks(fresh) if row not in before) == [
        (1, b"S5", b"\x005", [("trace", b"t-5")]),
        (1, b"S9", b"\x009", None),
    ]
    (kept,) = pending(fresh)
    assert (kept.cause, kept.detail, kept.origin_offset, kept.step) == (
        "no_price",
        "no 6",
        6,
        "vwap",
    )


def test_what_was_dealt_with_is_not_dealt_with_again(fresh: str) -> None:
    write(fresh, *(letter(number, "no_size") for number in range(40, 48)))
    letters = PendingLetters(fresh, graph("vwap"), [TICK])

    first = letters.deal("redriven", lambda _: True, letters_max=3)
    left = len(pending(fresh))
    second = letters.deal("redriven", lambda _: True)
    before = len(ticks(fresh))
    third = letters.deal("redriven", lambda _: True)

    assert (first["redriven"], left, second["redriven"]) == (3, 5, 5)
    assert third == {}
    assert len(ticks(fresh)) == before
    values = [
        row[2]
        for row in ticks(fresh)
        if row[2] in {b"\x00" + str(n).encode() for n in range(40, 48)}
    ]
    assert len(values) == len(set(values)) == 8


def test_a_letter_that_dies_again_tells_the_last_reason(fresh: str) -> None:
    write(fresh, letter(3, "again", [("headrace-cause", b"first"), ("trace", b"t-3")]))

    (found,) = pending(fresh)

    assert (found.cause, found.headers) == ("again", [("trace", b"t-3")])


def run(bootstrap: str, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headrace", "dead", *words, f"--project={PROJECT}"],
        env={**os.environ, "HEADRACE_KAFKA": bootstrap, "HEADRACE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_counts_shows_and_drops(fresh: str, tmp_path: Path) -> None:
    write(fresh, letter(1, "no_size"), letter(2, "no_size"), letter(3, "no_price"))

    listed = run(fresh, tmp_path, "list", "vwap", "--json")
    shown = run(fresh, tmp_path, "show", "vwap", "--cause=no_price")
    dropped = run(fresh, tmp_path, "drop", "vwap", "--cause=no_size")
    unknown = run(fresh, tmp_path, "drop", "vwap", "--topic=nothing")

    counts = {
        (row["topic"], row["step"], row["cause"]): row["letters"]
        for row in json.loads(listed.stdout)
    }
    assert counts == {(TICK.name, "vwap", "no_size"): 2, (TICK.name, "vwap", "no_price"): 1}
    (told,) = [json.loads(line) for line in shown.stdout.splitlines()]
    assert (told["key"], told["value"], told["detail"]) == ("S3", "\x003", "no 3")
    assert "2 letters dropped, 1 kept" in dropped.stderr
    assert [each.cause for each in pending(fresh)] == ["no_price"]
    assert unknown.returncode == 2
    assert "has no topic 'nothing'" in unknown.stderr
