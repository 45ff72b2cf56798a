"""The PostgreSQL sink on a real TimescaleDB, Apache edition: hypertables instead of partitions."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from pydantic import SecretStr

from headrace.sinks import PostgresSink
from headrace.sinks.capability import Rung
from schemas import topics
from tests.integration.sink_records import MIGRATIONS, SCHEMAS, START_NS, SUNK, part_of
from tests.integration.timescale_root import UnpreparableError, prepared_root, timescale_server

pytestmark = pytest.mark.slow

WEEK_NS = 7 * 86_400_000_000_000


@pytest.fixture(scope="module")
def timescale() -> Iterator[str]:
    try:
        root = prepared_root()
    except UnpreparableError as error:
        pytest.skip(str(error))
    with timescale_server(root) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def sink(timescale: str) -> Iterator[PostgresSink]:
    opened = PostgresSink(SecretStr(timescale), "trading", SUNK, SCHEMAS, migrations=MIGRATIONS)
    opened.open()
    yield opened
    opened.close()


def ask(dsn: str, query: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def test_the_sink_finds_timescale_and_makes_hypertables(timescale: str, sink: PostgresSink) -> None:
    assert sink.rung is Rung.APACHE
    kept = sum(topic.cleanup == "delete" for topic in SUNK)
    query = "SELECT count(*) FROM timescaledb_information.hypertables"
    assert ask(timescale, query) == [(kept,)]


def test_every_topic_is_copied_into_it_once(timescale: str, sink: PostgresSink) -> None:
    parts = [part_of(topic, [{}] * 100, partition=6) for topic in SUNK]

    assert sink.write(parts).rows == 100 * len(SUNK)
    assert sink.write(parts).rows == 0

    assert ask(timescale, "SELECT count(*) FROM feature_vector_v1") == [(100,)]
    assert ask(timescale, "SELECT sum(trade_count) FROM candle_minute") == [(100,)]


def test_chunks_are_a_week_and_old_ones_are_dropped(timescale: str, sink: PostgresSink) -> None:
    weeks = [{"receive_time_ns": START_NS + WEEK_NS * week} for week in range(5)]
    sink.write([part_of(topics.QUOTE, weeks * 10, partition=7)])
    query = "SELECT count(*) FROM show_chunks('market_quote_v1')"
    assert ask(timescale, query) == [(5,)]

    assert ask(timescale, "SELECT headrace.drop_before('market_quote_v1', '2024-08-21')") == [(2,)]
    assert ask(timescale, query) == [(3,)]
    ask(timescale, "SELECT headrace.set_retention('market_quote_v1', '30 days')")
    assert ask(timescale, "SELECT headrace.drop_expired()") == [(3,)]
    assert ask(timescale, query) == [(0,)]


def test_a_second_start_finds_everything_made(sink: PostgresSink) -> None:
    before = sink.positions()

    sink.open()

    assert sink.positions() == before
