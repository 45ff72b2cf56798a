"""`headrace up` of the graphs beside trading: what they write is the driver's, in Kafka and SQL."""

import gzip
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from headrace.servers import Servers
from headrace.settings import Settings
from headrace.sinks.columns import table_name
from schemas import topics
from tests.integration.three_ways import Log, ThreeWays, run_three_ways

SPAN_NS = 20 * 10**9
"""Of a recording that several files tell of."""

LINES = 12_000
"""Of a recording that one file tells of."""

ONE_STREAM = ("spot_ethusdt_20240808",)
TWO_STREAMS = ("spot_btcusdt_20240808", "usdm_btcusdt_20240808")
RUNS = {
    "candles": (ONE_STREAM, (topics.CANDLE_SECOND, topics.CANDLE_MINUTE)),
    "monitor": (ONE_STREAM, (topics.ANOMALY,)),
    "arbitrage": (TWO_STREAMS, (topics.ASSET_QUOTE, topics.BASIS)),
}
"""By topology: the recordings, and topics that must hold something."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.timeout(900)
def test_a_graph_started_by_name_writes_what_the_driver_does(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    recordings, filled = RUNS[name]
    folder = shared_data / "binance"
    paths = [cut(folder / f"{file}.gz", tmp_path, recordings) for file in recordings]
    feed = f"capture:{','.join(str(path) for path in paths)}"
    settings = Settings.load(home=tmp_path / "servers", kafka=None, postgres=None, redis=None)
    with Servers(settings) as servers:
        ways = run_three_ways(name, feed, tmp_path, servers.endpoints)
        tables = rows_of(ways, servers.endpoints.postgres)

    assert [topic.name for topic in filled if not ways.live[topic.name]] == []
    assert ways.report["frames"]["adds_up"]
    if recordings == ONE_STREAM:
        assert ways.unlike_driver() == {}
        assert ways.unlike_backtest() == []
    # Two streams of a partition meet in one order here and another there; a basis waits for both.
    assert unlike_unordered(ways) == []
    assert {t: Counter(map(worded, rows)) for t, rows in tables.items()} == {
        t: Counter(map(worded, ways.driver_rows(t))) for t in tables
    }


def cut(path: Path, folder: Path, recordings: Sequence[str]) -> Path:
    """Return a copy of a recording's beginning."""
    found = folder / path.name
    with gzip.open(path, "rt") as lines, gzip.open(found, "wt") as out:
        if recordings == ONE_STREAM:
            out.writelines(itertools.islice(lines, LINES))
        else:
            first = next(lines)
            end_ns = int(first.split(" ", 1)[0]) + SPAN_NS
            out.write(first)
            out.writelines(
                itertools.takewhile(lambda line: int(line.split(" ", 1)[0]) < end_ns, lines)
            )
    return found


def worded(row: Mapping[str, Any]) -> str:
    return repr(sorted(row.items()))


def unlike_unordered(ways: ThreeWays) -> list[str]:
    """Return the topics that hold other records than the driver's, in whatever order."""
    return [t for t in ways.same if counted(ways.live[t]) != counted(ways.driver_log(t))]


def counted(log: Log) -> Mapping[int, Counter[tuple[bytes | None, bytes | None]]]:
    return {
        partition: Counter((key, value) for key, value, _ in records)
        for partition, records in log.items()
    }


def rows_of(ways: ThreeWays, dsn: str) -> dict[str, list[dict[str, Any]]]:
    """Return what the database holds of each topic it is sent, in the fields of the schema."""
    sunk = [t.name for s in ways.topology.sinks if s.name == "postgres" for t in s.reads]
    found = {}
    with psycopg.connect(dsn, connect_timeout=10, row_factory=dict_row) as connection:
        for topic in sunk:
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table_name(topic)))
            place = ("kafka_partition", "kafka_offset", "time")
            rows = connection.execute(query).fetchall()
            found[topic] = [{n: row[n] for n in row if n not in place} for row in rows]
    return found
