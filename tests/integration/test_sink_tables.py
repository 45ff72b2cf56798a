"""What the tables of the PostgreSQL sink give to who reads them: views, spans of time, queries."""

import re

import psycopg
import pytest

from headrace.sinks import PostgresSink
from headrace.sinks.capability import Rung
from schemas import topics
from tests.integration.sink_database import ask
from tests.integration.sink_records import INT64_MAX, START_NS, part_of
from tests.repository_files import ROOT

DAY_NS = 86_400_000_000_000
TRADES = "SELECT count(*) FROM market_trade_v1"


def test_plain_postgres_divides_by_week_and_drops_what_is_old(dsn: str, sink: PostgresSink) -> None:
    assert sink.rung is Rung.PLAIN
    weeks = [{"receive_time_ns": START_NS + 7 * DAY_NS * week} for week in range(4)]
    sink.write([part_of(topics.TRADE, weeks * 10)])

    per_table = (
        "SELECT tableoid::regclass::text, count(*) FROM market_trade_v1 GROUP BY 1 ORDER BY 1"
    )
    assert ask(dsn, per_table) == [
        (f"market_trade_v1_p2024{day}", 10) for day in ("0805", "0812", "0819", "0826")
    ]
    assert ask(dsn, "SELECT headrace.drop_before('market_trade_v1', '2024-08-19')") == [(2,)]
    assert ask(dsn, TRADES) == [(20,)]


def test_expired_partitions_are_dropped_when_retention_is_set(dsn: str, sink: PostgresSink) -> None:
    sink.write([part_of(topics.TRADE, [{}] * 10)])
    ask(dsn, "SELECT headrace.set_retention('market_trade_v1', '30 days')")

    assert ask(dsn, "SELECT headrace.drop_expired()") == [(1,)]
    assert ask(dsn, TRADES) == [(0,)]


def test_scattered_times_go_to_the_default_partition(dsn: str, sink: PostgresSink) -> None:
    rows = [{"receive_time_ns": number * 40 * DAY_NS} for number in range(300)]

    assert sink.write([part_of(topics.TRADE, rows)]).rows == 300

    query = "SELECT count(*), count(DISTINCT tableoid) <= 65 FROM market_trade_v1"
    assert ask(dsn, query) == [(300, True)]
    assert ask(dsn, "SELECT count(*) >= 200 FROM market_trade_v1_other") == [(True,)]
    # The spans whose rows are in the default partition stay there; nothing fails.
    sink.open()
    assert sink.write([part_of(topics.TRADE, rows, offset=300)]).rows == 300


def test_views_show_decimals_and_the_latest(dsn: str, sink: PostgresSink) -> None:
    name = {"instrument": "binance-spot:BTCUSDT"}
    old = name | {"price_scale": 1, "size_scale": 1}
    sink.write(
        [
            part_of(topics.INSTRUMENT, [old, name | {"price_scale": 2, "size_scale": 8}]),
            part_of(topics.TRADE, [name | {"price_ticks": 5_612_345, "size_lots": INT64_MAX}]),
            part_of(
                topics.POSITION,
                [
                    name | {"account": "a", "quantity_lots": q, "cash_e8": -q}
                    for q in (5, 70_000_000)
                ],
            ),
        ]
    )

    assert [tuple(map(str, row)) for row in ask(dsn, "SELECT price, size FROM trade")] == [
        ("56123.45", "92233720368.54775807")
    ]
    assert [
        tuple(map(str, row)) for row in ask(dsn, "SELECT quantity, cash FROM latest_position")
    ] == [("0.7", "-0.7")]


@pytest.mark.parametrize("page", ["sinks.md", "models.md"])
def test_the_queries_on_the_pages_run(page: str, dsn: str, sink: PostgresSink) -> None:
    """On tables with a few rows each; whole statements, as a reader would paste them."""
    rows = [{"receive_time_ns": START_NS + second, "sequence": second} for second in range(10)]
    told = (topics.QUOTE, topics.PREDICTION, topics.SHADOW)
    sink.write([part_of(topic, rows) for topic in told])
    text = (ROOT / "docs" / page).read_text()
    (block,) = re.findall(r"^```sql\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    with psycopg.connect(dsn, autocommit=True) as connection:
        found = [
            connection.execute(statement).fetchall()
            for statement in re.sub(r"--.*", "", block).split(";")
            if statement.strip()
        ]

    assert all(len(each) == 1 for each in found)
