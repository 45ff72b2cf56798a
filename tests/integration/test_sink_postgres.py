"""The PostgreSQL sink on a real server: every row once, whatever happens."""

import math
import shutil
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from headrace import Part, Topic
from headrace.batch import DeadRow
from headrace.errors import InvariantError, TransientError, UsageError
from headrace.servers import Servers
from headrace.sinks import PositionLostError, PostgresSink
from headrace.sinks import postgres as postgres_module
from headrace.sinks.columns import columns_of, table_name
from schemas import topics
from tests.integration.sink_database import ask, sink_on
from tests.integration.sink_records import (
    INT64_MAX,
    INT64_MIN,
    MIGRATIONS,
    SCHEMAS,
    START_NS,
    SUNK,
    part_of,
    schema_of,
)

WAIT_S = 60.0
TRADES = "SELECT count(*) FROM market_trade_v1"


def trades(count: int, offset: int = 0, partition: int = 0, **fields: Any) -> Part:
    return part_of(topics.TRADE, [fields] * count, offset=offset, partition=partition)


def reopened(sink: PostgresSink) -> None:
    """Open as the engine does: again and again while the server is away."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return sink.open()
        except TransientError:
            assert time.monotonic() < deadline


def test_rows_equal_records_and_a_repeated_write_adds_none(dsn: str, sink: PostgresSink) -> None:
    parts = [part_of(topic, [{}] * 50, partition=p) for topic in SUNK for p in (0, 3)]

    first = sink.write(parts)
    second = sink.write(parts)

    assert (first.rows, second.rows) == (len(parts) * 50, 0)
    assert not first.dead
    for topic in SUNK:
        table = sql.Identifier(table_name(topic.name))
        assert ask(dsn, sql.SQL("SELECT count(*) FROM {}").format(table)) == [(100,)]
    assert sink.positions() == {(part.topic, part.partition): 50 for part in parts}


def test_batches_cut_elsewhere_on_a_second_run_add_none(dsn: str, sink: PostgresSink) -> None:
    sink.write([trades(30)])
    sink.write([trades(30, offset=20), trades(5, offset=50)])

    assert ask(dsn, "SELECT count(*), count(DISTINCT kafka_offset) FROM market_trade_v1") == [
        (55, 55)
    ]


def test_every_reference_record_comes_back_as_it_went(dsn: str, sink: PostgresSink) -> None:
    parts = {topic: part_of(topic, [edge_case(topic, n) for n in range(6)]) for topic in SUNK}

    assert sink.write(list(parts.values())).rows == 6 * len(SUNK)

    for topic, part in parts.items():
        fields = [field["name"] for field in SCHEMAS[topic.name]["fields"]]
        query = sql.SQL("SELECT {} FROM {} ORDER BY kafka_offset").format(
            sql.SQL(", ").join(map(sql.Identifier, fields)), sql.Identifier(table_name(topic.name))
        )
        expected = [tuple(row[name] for name in fields) for row in part.records.to_pylist()]
        assert list(map(comparable, ask(dsn, query))) == list(map(comparable, expected)), topic


def edge_case(topic: Topic, number: int) -> dict[str, Any]:
    """Return a row whose fields are the `number`-th extreme of their type."""
    doubles = [math.nan, math.inf, -math.inf, 0.0, 1e308, 5e-324]
    longs = [INT64_MIN, INT64_MAX, 0, -1, 2**53 + 1, 7]
    texts = ["", "Zażółć 🏞", "a'b\"\\", "\n\t\r", "x" * 10_000, "%s;--"]
    arrays = [[], [INT64_MIN, INT64_MAX], [0], list(range(10)), [-1], [7, 7]]
    choices: dict[str, list[Any]] = {
        "long": longs,
        "int": [-(2**31), 2**31 - 1, 0, -1, 1, 7],
        "double": doubles,
        "string": texts,
        "boolean": [True, False] * 3,
    }
    row: dict[str, Any] = {}
    for field in SCHEMAS[topic.name]["fields"]:
        kind = field["type"]
        if isinstance(kind, list):
            row[field["name"]] = [None, *choices[kind[1]]][number]
        elif isinstance(kind, dict):
            symbols = kind.get("symbols")
            row[field["name"]] = symbols[number % len(symbols)] if symbols else arrays[number]
        else:
            row[field["name"]] = choices[kind][number]
    return row


def comparable(row: tuple[Any, ...]) -> list[Any]:
    return ["NaN" if isinstance(value, float) and math.isnan(value) else value for value in row]


def test_a_row_says_where_it_came_from_and_when(dsn: str, sink: PostgresSink) -> None:
    sink.write([trades(1, offset=41, partition=6, receive_time_ns=START_NS + 1_999)])

    query = "SELECT kafka_partition, kafka_offset, extract(epoch FROM time) FROM market_trade_v1"
    ((partition, offset, seconds),) = ask(dsn, query)
    assert (partition, offset, int(seconds * 1_000_000)) == (6, 41, START_NS // 1_000 + 1)


def test_a_session_ended_before_the_commit_leaves_nothing_and_the_repeat_all(
    dsn: str, sink: PostgresSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_session(connection: psycopg.Connection, *_: object) -> None:
        pid = connection.info.backend_pid
        assert ask(dsn, sql.SQL("SELECT pg_terminate_backend({}, 5000)").format(pid)) == [(True,)]

    part = trades(1_000)
    with monkeypatch.context() as patch:
        # What `write` does last before its positions move: every row has been copied by then.
        patch.setattr(postgres_module, "record_rejects", lose_session)
        with pytest.raises(TransientError):
            sink.write([part])

    assert ask(dsn, TRADES) == [(0,)]
    with pytest.raises(TransientError, match="open it first"):
        sink.write([part])
    sink.open()
    assert sink.positions() == {}
    assert sink.write([part]).rows == 1_000


def test_a_commit_whose_answer_was_lost_is_not_repeated(
    dsn: str, sink: PostgresSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PostgresSink._write

    def lose_answer(self: PostgresSink, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        raise psycopg.OperationalError("connection reset after the commit")

    with monkeypatch.context() as patch:
        patch.setattr(PostgresSink, "_write", lose_answer)
        with pytest.raises(TransientError):
            sink.write([trades(10)])
    sink.open()

    assert sink.positions() == {("market.trade.v1", 0): 10}
    assert sink.write([trades(10)]).rows == 0
    assert ask(dsn, TRADES) == [(10,)]


def test_a_killed_server_leaves_whole_batches_and_the_run_goes_on(
    dsn: str, servers: Servers, sink: PostgresSink
) -> None:
    size, batches = 500, 60
    killer = threading.Thread(target=servers.kill, args=["postgres"])
    interrupted = 0
    for number in range(batches):
        if number == batches // 3:
            killer.start()
        part = trades(size, offset=number * size)
        while True:
            try:
                sink.write([part])
                break
            except TransientError:
                interrupted += 1
                reopened(sink)
                ((rows,),) = ask(dsn, TRADES)
                assert rows == sink.positions().get(("market.trade.v1", 0), 0)
                assert rows in (number * size, (number + 1) * size)
        if number == batches // 3:
            killer.join()

    assert interrupted
    query = "SELECT count(*), count(DISTINCT kafka_offset) FROM market_trade_v1"
    assert ask(dsn, query) == [(size * batches, size * batches)]


def test_two_sinks_on_one_partition_do_not_both_write(dsn: str, sink: PostgresSink) -> None:
    other = sink_on(dsn)
    sink.write([trades(10)])

    with pytest.raises(TransientError, match="another sink"):
        other.write([trades(10)])
    other.open()
    assert other.write([trades(10)]).rows == 0
    assert other.write([trades(5, offset=10)]).rows == 5
    with pytest.raises(TransientError, match="expected position 10, found 15"):
        sink.write([trades(5, offset=10)])

    assert ask(dsn, TRADES) == [(15,)]
    other.close()


def test_sinks_that_race_for_a_partition_add_each_row_once(dsn: str, sink: PostgresSink) -> None:
    count, size = 20, 50
    parts = [trades(size, offset=number * size) for number in range(count)]
    errors: list[BaseException] = []

    def run(one: PostgresSink) -> None:
        try:
            for part in parts:
                while True:
                    try:
                        one.write([part])
                        break
                    except TransientError:
                        one.open()
        except BaseException as error:
            errors.append(error)
            raise

    others = [sink_on(dsn), sink_on(dsn)]
    threads = [threading.Thread(target=run, args=[one]) for one in (sink, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    assert ask(dsn, "SELECT count(*), count(DISTINCT kafka_offset) FROM market_trade_v1") == [
        (count * size, count * size)
    ]
    for one in others:
        one.close()


def test_a_database_that_was_restored_is_noticed_before_rows_are_missed(
    dsn: str, sink: PostgresSink
) -> None:
    sink.write([trades(10)])
    ask(dsn, "UPDATE headrace.sink_position SET next_offset = 4")
    ask(dsn, "DELETE FROM market_trade_v1 WHERE kafka_offset >= 4")

    with pytest.raises(PositionLostError, match="Read on from 4"):
        sink.write([trades(5, offset=10)])
    sink.open()
    with pytest.raises(PositionLostError):
        sink.write([trades(5, offset=10)])

    assert sink.positions() == {("market.trade.v1", 0): 4}
    assert sink.write([trades(11, offset=4)]).rows == 11
    assert ask(dsn, TRADES) == [(15,)]


def test_a_record_that_cannot_be_stored_is_set_aside_and_its_neighbours_stored(
    dsn: str, sink: PostgresSink
) -> None:
    good, bad = (
        trades(3, partition=1),
        part_of(
            topics.TRADE, [{}, {"instrument": "nul\0here"}, {}, {"aggressor": "\0"}], offset=70
        ),
    )

    written = sink.write([good, bad])

    assert written.rows == 5
    assert [(row.part, row.row, row.cause) for row in written.dead] == [
        (1, 1, "nul_in_text"),
        (1, 3, "nul_in_text"),
    ]
    assert sink.positions()["market.trade.v1", 0] == 74
    assert ask(dsn, "SELECT kafka_offset, value FROM headrace.rejected_row ORDER BY 1") == [
        (71, b"value-1"),
        (73, b"value-3"),
    ]
    again = sink.write([good, bad])
    assert (again.rows, list(again.dead)) == (0, [])


def test_where_a_refused_record_cannot_be_kept_nothing_of_the_batch_counts(
    dsn: str, sink: PostgresSink
) -> None:
    bad = part_of(topics.TRADE, [{}, {"instrument": "nul\0here"}])
    asked = []

    def refuse(rows: Sequence[DeadRow]) -> None:
        asked.extend(rows)
        raise TransientError("the broker is away")

    with pytest.raises(TransientError, match="the broker is away"):
        sink.write([bad], refuse)

    assert [row.row for row in asked] == [1]
    assert sink.positions() == {}
    assert ask(dsn, TRADES) == [(0,)]
    assert ask(dsn, "SELECT count(*) FROM headrace.rejected_row") == [(0,)]


def test_rows_a_constraint_refuses_are_found_one_by_one(dsn: str, sink: PostgresSink) -> None:
    ask(dsn, "ALTER TABLE market_trade_v1 ADD CHECK (price_ticks <> 13)")
    rows = [{"price_ticks": 13 if number in {0, 500, 999} else 1} for number in range(1_000)]

    written = sink.write([part_of(topics.TRADE, rows)])

    assert written.rows == 997
    assert sorted(row.row for row in written.dead) == [0, 500, 999]
    assert {row.cause for row in written.dead} == {"refused_by_database"}
    assert ask(dsn, TRADES) == [(997,)]


def test_a_row_already_there_before_its_position_is_a_broken_invariant(
    dsn: str, sink: PostgresSink
) -> None:
    part = part_of(topics.POSITION, [{}] * 3)
    sink.write([part])
    ask(dsn, "DELETE FROM headrace.sink_position")
    sink.open()
    sink.positions()

    with pytest.raises(InvariantError, match="there already"):
        sink.write([part])


def test_a_changed_migration_is_refused(dsn: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))
    sink_on(dsn, migrations=folder).close()
    changed = folder / "0001_market.sql"
    changed.write_text(changed.read_text("utf-8") + "-- more", encoding="utf-8")

    with pytest.raises(UsageError, match=r"0001_market\.sql: it changed after it was applied"):
        sink_on(dsn, migrations=folder)


def test_a_failing_migration_leaves_nothing_and_names_itself(dsn: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))
    (folder / "0100_broken.sql").write_text("CREATE TABLE half (); SELECT 1/0;", encoding="utf-8")

    with pytest.raises(UsageError, match=r"0100_broken\.sql: .*division by zero"):
        sink_on(dsn, migrations=folder)

    assert ask(dsn, "SELECT to_regclass('half')") == [(None,)]
    (folder / "0100_broken.sql").write_text("CREATE TABLE whole ();", encoding="utf-8")
    sink_on(dsn, migrations=folder).close()
    (folder / "0099_late.sql").write_text("CREATE TABLE late ();", encoding="utf-8")
    with pytest.raises(UsageError, match="number it after"):
        sink_on(dsn, migrations=folder)


def test_starters_at_the_same_time_migrate_once(dsn: str) -> None:
    opened: list[PostgresSink] = []
    threads = [threading.Thread(target=lambda: opened.append(sink_on(dsn))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(opened) == 4
    assert ask(
        dsn,
        "SELECT count(*) > 3, count(*) = count(DISTINCT (source, version)) FROM headrace.migration",
    ) == [(True, True)]
    for sink in opened:
        sink.close()


def test_the_migrations_make_what_the_schemas_say(dsn: str) -> None:
    """Fails when a schema changed: change the SQL file too, or once released add a new one."""
    sink_on(dsn).close()

    for topic in SUNK:
        query = sql.SQL(
            "SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute "
            "WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        ).format(sql.Literal(table_name(topic.name)))
        expected = [(c.name, c.kind, c.nullable) for c in columns_of(topic.name, schema_of(topic))]
        assert sorted(ask(dsn, query)) == sorted(expected), topic  # added columns stand last


def test_a_topic_without_a_migration_gets_a_table_from_its_schema(dsn: str) -> None:
    sink = sink_on(dsn, migrations=None)
    parts = [part_of(topic, [{}] * 5) for topic in SUNK]

    assert sink.write(parts).rows == 5 * len(SUNK)

    sink_on(dsn, migrations=None).close()
    sink.close()


def test_a_table_that_does_not_fit_the_schema_is_refused(dsn: str) -> None:
    ask(dsn, "CREATE TABLE market_trade_v1 (kafka_partition int, kafka_offset text)")

    with pytest.raises(UsageError, match="kafka_offset is expected as bigint, found text"):
        sink_on(dsn, [topics.TRADE], migrations=None)


def test_a_dsn_that_is_none_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError) as raised:
        PostgresSink(SecretStr("postgresl://me:hunter2@there/db"), "trading", [], {})

    assert "hunter2" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_server_that_is_away_is_weather(unused_tcp_port: int) -> None:
    dsn = f"postgresql://me:hunter2@127.0.0.1:{unused_tcp_port}/db"
    sink = PostgresSink(SecretStr(dsn), "trading", [], {})

    with pytest.raises(TransientError) as raised:
        sink.open()

    assert "hunter2" not in str(raised.value)


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
