"""Embedded servers: real ones, started, killed, healed, restarted and ended."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from headrace.errors import TransientError, UsageError
from headrace.servers import NAMES, Servers
from headrace.servers.child import LOG_BYTES_MAX
from headrace.servers.class_archive import ClassArchive
from headrace.servers.jars import kafka_folder, kafka_jars
from headrace.servers.kafka import _unusable
from headrace.servers.rehearsal import rehearse_kafka
from headrace.settings import Settings

WAIT_S = 60.0

REDIS = frozenset({"redis"})
POSTGRES = frozenset({"postgres"})
KAFKA = frozenset({"kafka"})


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        yield Path(folder) / "home"


def up(home: Path, only: frozenset[str], **chosen: object) -> Servers:
    embedded = {"kafka": None, "postgres": None, "redis": None}
    return Servers(Settings.load(home=home, **(embedded | chosen)), only=only)


def wait_until(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not fact():
        assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
        time.sleep(0.02)


def pids(servers: Servers) -> list[int]:
    return [state.pid for state in servers.states() if state.pid is not None]


def set_key(url: str, key: str, value: str) -> None:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.set(key, value)


def get_key(url: str, key: str) -> object:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.get(key)


def query(dsn: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]  # the tests' own text
        return cursor.fetchall() if cursor.description else []


def make_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(timeout=WAIT_S)


def topics(bootstrap: str) -> set[str]:
    return set(AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=WAIT_S).topics)


def test_restart_keeps_data_and_addresses_and_leaves_nothing_running(home: Path) -> None:
    with up(home, frozenset(NAMES)) as servers:
        first = servers.endpoints
        make_topic(first.kafka, "kept.record.v1")
        query(first.postgres, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)")
        set_key(first.redis, "kept", "7")
        running = [psutil.Process(pid) for pid in pids(servers)]
        states = servers.states()

    assert [state.name for state in states] == list(NAMES)
    assert {state.state for state in states} == {"running"}
    assert len(running) == len(NAMES)
    assert not any(process.is_running() for process in running)

    with up(home, frozenset(NAMES)) as servers:
        assert servers.endpoints == first
        assert "kept.record.v1" in topics(first.kafka)
        assert query(first.postgres, "SELECT id FROM kept") == [(7,)]
        assert get_key(first.redis, "kept") == "7"


@pytest.mark.parametrize("name", NAMES)
def test_killed_server_comes_back_on_the_same_port(servers: Servers, name: str) -> None:
    def state() -> tuple[str, int, int | None]:
        found = next(state for state in servers.states() if state.name == name)
        return found.state, found.restarts, found.pid

    _, restarts, pid = state()

    servers.kill(name)

    wait_until(lambda: state()[:2] == ("running", restarts + 1), f"{name} is back")
    assert state()[2] not in {pid, None}
    answers = {
        "kafka": lambda: topics(servers.endpoints.kafka) is not None,
        "postgres": lambda: query(servers.endpoints.postgres, "SELECT 1") == [(1,)],
        "redis": lambda: get_key(servers.endpoints.redis, "absent") is None,
    }
    assert answers[name]()


@pytest.mark.parametrize("politely", [False, True])
def test_server_taken_down_stays_away_until_it_is_brought_back(
    home: Path, *, politely: bool
) -> None:
    with up(home, REDIS) as servers:
        set_key(servers.endpoints.redis, "kept", "yes")

        servers.take_down("redis", politely=politely)
        wait_until(lambda: servers.states()[0].state == "stopped", "redis is away")
        assert servers.states()[0].pid is None
        servers.bring_back("redis")
        wait_until(lambda: servers.states()[0].state == "running", "redis is back")

        assert get_key(servers.endpoints.redis, "kept") == "yes"


def test_nothing_outlives_a_parent_that_is_killed(home: Path) -> None:
    program = (
        "import sys; from headrace.servers import Servers; from headrace.settings import Settings\n"
        "only = frozenset({'postgres', 'redis'})\n"
        "with Servers(Settings.load(home=sys.argv[1]), only=only) as s:\n"
        "    print(*[state.pid for state in s.states()], flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        lines = (line for line in parent.stdout if line.replace(" ", "").strip().isdecimal())
        children = [psutil.Process(int(pid)) for pid in next(lines).split()]

        parent.kill()

        assert len(children) == 2
        wait_until(lambda: not any(child.is_running() for child in children), "the children end")
    with up(home, POSTGRES) as servers:
        assert query(servers.endpoints.postgres, "SELECT 1") == [(1,)]


def test_second_holder_is_refused_and_told_who_holds(home: Path) -> None:
    held_by_us = pytest.raises(UsageError, match=f"held by pid {os.getpid()}")

    with up(home, REDIS), held_by_us as raised:
        up(home, REDIS).__enter__()

    assert str(home) in str(raised.value)


@pytest.mark.parametrize(
    ("pid", "why"),
    [(2**22 - 1, "gone"), (1, "another program")],
    ids=["dead pid", "pid of another program"],
)
def test_stale_lock_is_taken_over(
    home: Path, capsys: pytest.CaptureFixture[str], pid: int, why: str
) -> None:
    home.mkdir()
    (home / "headrace.lock").write_text(json.dumps({"pid": pid, "started": 1.0}))

    with up(home, REDIS) as servers:
        assert get_key(servers.endpoints.redis, "absent") is None

    said = capsys.readouterr().out
    assert "stale_lock_taken_over" in said
    assert why in said
    with (home / "headrace.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_half_formatted_kafka_is_moved_aside(home: Path) -> None:
    data = home / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=abc\n")

    with up(home, KAFKA) as servers:
        assert topics(servers.endpoints.kafka) == set()

    (aside,) = (home / "kafka").glob("data.broken-*")
    assert (aside / "meta.properties").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no meta.properties"),
        (b"", "lacks cluster.id, directory.id, node.id, version"),
        (b"version=1\ncluster.id=a\nnode.id=\n", "lacks directory.id, node.id"),
        (b"\xff\x00", "not text"),
        (b"version=1\ncluster.id=a\nnode.id=1\ndirectory.id=b", "no bootstrap.checkpoint"),
    ],
)
def test_unusable_kafka_folder_is_recognised(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / "meta.properties").write_bytes(content)

    assert why in _unusable(tmp_path)


def test_interrupted_initdb_is_made_again(home: Path) -> None:
    (home / "postgres" / "data").mkdir(parents=True)
    (home / "postgres" / "data" / "postgresql.conf").touch()
    (home / "postgres" / "data.new" / "base").mkdir(parents=True)

    with up(home, POSTGRES) as servers:
        assert query(servers.endpoints.postgres, "SELECT 1") == [(1,)]

    assert not (home / "postgres" / "data.new").exists()
    assert len(list((home / "postgres").glob("data.broken-*"))) == 1


@pytest.mark.parametrize("text", ["1\n", "", "99999999\n/elsewhere\n"])
def test_stale_postmaster_pid_and_lost_password_are_healed(home: Path, text: str) -> None:
    with up(home, POSTGRES) as servers:
        query(servers.endpoints.postgres, "CREATE TABLE kept (id int)")
    (home / "postgres" / "data" / "postmaster.pid").write_text(text)
    (home / "postgres" / "password").unlink()

    with up(home, POSTGRES) as servers:
        assert query(servers.endpoints.postgres, "SELECT id FROM kept") == []


def test_truncated_redis_log_keeps_its_whole_commands(home: Path) -> None:
    with up(home, REDIS) as servers:
        set_key(servers.endpoints.redis, "first", "1")
        set_key(servers.endpoints.redis, "second", "2")
    log = home / "redis" / "data" / "appendonly.aof"
    os.truncate(log, log.stat().st_size - 3)

    with up(home, REDIS) as servers:
        assert get_key(servers.endpoints.redis, "first") == "1"
        assert get_key(servers.endpoints.redis, "second") is None

    assert len(list(log.parent.glob("appendonly.aof.broken-*"))) == 1


def test_broken_record_of_ports_is_moved_aside(home: Path) -> None:
    home.mkdir()
    (home / "servers.json").write_text('{"redis": {"po')

    with up(home, REDIS) as servers:
        assert get_key(servers.endpoints.redis, "absent") is None

    assert len(list(home.glob("servers.json.broken-*"))) == 1


def test_server_left_behind_is_ended_first(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stray:
        home.mkdir()
        started = psutil.Process(stray.pid).create_time()
        record = {"redis": {"pid": stray.pid, "started": started}}
        (home / "servers.json").write_text(json.dumps(record))

        with up(home, REDIS):
            assert stray.poll() is not None


def test_taken_port_that_was_remembered_is_changed(home: Path) -> None:
    with up(home, REDIS) as servers:
        where = servers.states()[0].where
    port = int(where.removesuffix("/0").rpartition(":")[2])

    with socket.create_server(("127.0.0.1", port)), up(home, REDIS) as servers:
        assert servers.states()[0].where != where
        assert get_key(servers.endpoints.redis, "absent") is None


def test_taken_port_that_was_fixed_is_refused_naming_its_holder(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"HEADRACE_REDIS_PORT={port}") as raised:
            up(home, REDIS, redis_port=port).__enter__()

    assert f"pid {os.getpid()}" in str(raised.value)


def test_full_log_is_turned_over(home: Path) -> None:
    (home / "logs").mkdir(parents=True)
    log = home / "logs" / "redis.log"
    with log.open("wb") as file:
        file.truncate(LOG_BYTES_MAX)

    with up(home, REDIS):
        pass

    assert log.stat().st_size < LOG_BYTES_MAX
    assert log.with_name("redis.log.1").stat().st_size == LOG_BYTES_MAX


def test_server_that_cannot_start_says_why_and_leaves_nothing(home: Path) -> None:
    with up(home, POSTGRES):
        pass
    (home / "postgres" / "data" / "postgresql.conf").write_text("nonsense = 1\n")

    with pytest.raises(TransientError, match="nonsense"):
        up(home, POSTGRES | REDIS).__enter__()

    with up(home, REDIS) as servers:
        assert get_key(servers.endpoints.redis, "absent") is None


def test_server_that_cannot_come_back_is_shown_as_failed(home: Path) -> None:
    with up(home, POSTGRES) as servers:
        (home / "postgres" / "data" / "postgresql.conf").write_text("nonsense = 1\n")

        servers.kill("postgres")

        wait_until(lambda: servers.states()[0].state == "failed", "it is given up")
        assert servers.states()[0].pid is None


def test_real_servers_are_used_as_they_are(servers: Servers, home: Path) -> None:
    real = servers.endpoints
    chosen = {"kafka": real.kafka, "postgres": real.postgres, "redis": real.redis}

    with up(home, frozenset(NAMES), **chosen) as found:
        assert found.endpoints == real
        assert [state.embedded for state in found.states()] == [False] * 3
        assert [state.where for state in found.states()] == [s.where for s in servers.states()]
        with pytest.raises(UsageError, match="not embedded"):
            found.kill("redis")

    assert not home.exists()


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("kafka", "127.0.0.1:{port}"),
        ("postgres", "postgresql://user:hunter2@127.0.0.1:{port}/db"),
        ("redis", "redis://:hunter2@127.0.0.1:{port}/0"),
    ],
)
def test_unreachable_real_server_is_named_without_its_password(
    home: Path, name: str, form: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(TransientError, match=f"HEADRACE_{name.upper()}: .*:{port}") as raised:
        up(
            home, frozenset({name}), connect_timeout_s=1, **{name: form.format(port=port)}
        ).__enter__()

    assert "hunter2" not in str(raised.value)


def test_unknown_server_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="found \\['oracle'\\]"):
        up(home, frozenset({"oracle"}))


def mapped(servers: Servers) -> str:
    """Return what the only server has mapped into its memory."""
    (pid,) = pids(servers)
    return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


@pytest.mark.slow  # half a minute of CPU, most of it Java's own work
@pytest.mark.timeout(900)
def test_kafka_starts_with_what_it_learned_in_a_rehearsal(home: Path, tmp_path: Path) -> None:
    settings = Settings.load(home=home, cache=tmp_path, kafka=None)
    jars = kafka_jars(Settings.load().cache, WAIT_S)
    kafka_folder(tmp_path).mkdir()
    (kafka_folder(tmp_path) / "jars.json").write_text(json.dumps([str(jar) for jar in jars]))
    archive = ClassArchive(tmp_path, jars).path

    assert rehearse_kafka(settings, lambda bootstrap: make_topic(bootstrap, "visited"))
    assert not rehearse_kafka(settings, lambda _: pytest.fail("it was rehearsed already"))

    with Servers(settings, only=KAFKA) as servers:
        assert str(archive) in mapped(servers)
        assert "visited" not in topics(servers.endpoints.kafka)

    archive.write_bytes(archive.read_bytes()[:100_000])
    with Servers(settings, only=KAFKA) as servers:
        make_topic(servers.endpoints.kafka, "without.archive.v1")
