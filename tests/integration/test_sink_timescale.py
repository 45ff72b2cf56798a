"""The PostgreSQL sink on a real TimescaleDB, Apache edition: hypertables instead of partitions."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from benchmarks.timescale_root import UnpreparableError, prepared_root, timescale_server
from headrace.sinks import PostgresSink
from headrace.sinks.capability import Rung
from schemas import topics
from tests.integration.sink_database import ask
from tests.integration.sink_records import MIGRATIONS, SCHEMAS, START_NS, SUNK, part_of
from tests.integration.timescale_community import community_server, prepared_modules

pytestmark = pytest.mark.slow

WEEK_NS = 7 * 86_400_000_000_000


@pytest.fixture(scope="module")
def timescale() -> Iterator[str]:
    try:
        root = prepared_root()
    except UnpreparableError as error:
        pytest.skip(str(error))
    with timescale_server(root) as server:
        yield server.dsn


@pytest.fixture(scope="module")
def sink(timescale: str) -> Iterator[PostgresSink]:
    opened = PostgresSink(SecretStr(timescale), "trading", SUNK, SCHEMAS, migrations=MIGRATIONS)
    opened.open()
    yield opened
    opened.close()


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


def test_the_community_licence_is_used_to_the_full() -> None:
    """Made by the sink's own `open`; filled by INSERT, as this server has no COPY."""
    try:
        folder = prepared_modules()
    except UnpreparableError as error:
        pytest.skip(str(error))
    with community_server(folder) as dsn:
        sink = PostgresSink(SecretStr(dsn), "trading", SUNK, SCHEMAS, migrations=MIGRATIONS)
        sink.open()
        sink.close()

        assert sink.rung is Rung.COMMUNITY
        ask(
            dsn,
            "INSERT INTO market_quote_v1 "
            "SELECT (jsonb_populate_record(NULL::market_quote_v1, to_jsonb(q))).* FROM ("
            "  SELECT 0 AS kafka_partition, n AS kafka_offset, 'a' AS instrument, 'b' AS venue, "
            "  'c' AS source, n AS sequence, 1 AS bid_price_ticks, 1 AS bid_size_lots, "
            "  2 AS ask_price_ticks, 1 AS ask_size_lots, 0 AS receive_time_ns, "
            "  0 AS source_sequence, timestamptz '2024-08-07' + n * interval '1 day' AS time "
            "  FROM generate_series(0, 20) AS n) AS q",
        )
        jobs = (
            "SELECT proc_name FROM timescaledb_information.jobs "
            "WHERE hypertable_name IN ('market_quote_v1', 'candle_minute') ORDER BY 1"
        )
        assert ask(dsn, "SELECT view_name FROM timescaledb_information.continuous_aggregates") == [
            ("candle_minute",)
        ]
        ask(dsn, "SELECT headrace.set_retention('market_quote_v1', '30 days')")
        assert ("policy_compression",) in ask(dsn, jobs)
        assert ("policy_retention",) in ask(dsn, jobs)
        chunks = "SELECT count(compress_chunk(c)) FROM show_chunks('market_quote_v1') AS c"
        assert ask(dsn, chunks) == [(4,)]
        assert ask(dsn, "SELECT count(*) FROM market_quote_v1") == [(21,)]
        assert ask(dsn, "SELECT headrace.drop_before('market_quote_v1', '2024-08-16')") == [(2,)]
