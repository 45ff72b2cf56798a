"""What sinks hold against what the topics hold: every record once, and the latest of each key."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import psycopg
import redis
from psycopg import sql

from headrace.faults.limits import SERVER_TIMEOUT_S
from headrace.faults.records import OFFSET, PARTITION, RunRecords, TopicRecords
from headrace.sinks.columns import table_name
from headrace.topology import Topic

Place = tuple[int, int]
"""Partition and offset."""


def missing_and_doubled_rows(
    records: TopicRecords, rows: Iterable[Place]
) -> tuple[list[Place], list[Place]]:
    """Return the places of records without a row, and of rows too many or of no record."""
    wanted = Counter(places_of(records))
    found = Counter(rows)
    return sorted((wanted - found).elements()), sorted((found - wanted).elements())


def stale_latest(records: TopicRecords, latest: Mapping[bytes, Place]) -> list[str]:
    """Return the keys whose kept place is not that of their last record, each in words."""
    places = zip(records.keys, places_of(records), strict=True)
    last = {key: place for key, place in places if key}
    return [
        f"{key.decode(errors='replace')}: last record {last.get(key)}, kept {latest.get(key)}"
        for key in sorted(last.keys() | latest.keys())
        if last.get(key) != latest.get(key)
    ]


def places_of(records: TopicRecords) -> list[Place]:
    """Return partition and offset of each record."""
    partitions = records.table.column(PARTITION).to_pylist()
    offsets = records.table.column(OFFSET).to_pylist()
    return list(zip(partitions, offsets, strict=True))


def check_database(run: RunRecords, topics: Sequence[Topic], dsn: str) -> dict[str, list[str]]:
    """Return by topic what the database has too few or too many of, each in words."""
    found: dict[str, list[str]] = {}
    with psycopg.connect(dsn, connect_timeout=int(SERVER_TIMEOUT_S)) as connection:
        connection.execute(f"SET statement_timeout = '{SERVER_TIMEOUT_S:.0f}s'")
        for topic in topics:
            query = sql.SQL("SELECT kafka_partition, kafka_offset FROM {}").format(
                sql.Identifier(table_name(topic.name))
            )
            rows = connection.execute(query).fetchall()
            missing, doubled = missing_and_doubled_rows(
                run.by_topic[topic.name], [(int(row[0]), int(row[1])) for row in rows]
            )
            found[topic.name] = [
                *(f"{topic.name}{place}: no row" for place in missing),
                *(f"{topic.name}{place}: a row too many" for place in doubled),
            ]
    return found


def check_redis(run: RunRecords, topics: Sequence[Topic], url: str) -> dict[str, list[str]]:
    """Return by topic the keys whose latest value Redis has not, each in words."""
    found = {}
    with redis.Redis.from_url(
        url, socket_timeout=SERVER_TIMEOUT_S, socket_connect_timeout=SERVER_TIMEOUT_S
    ) as client:
        for topic in topics:
            values: Any = client.hgetall(f"headrace:{topic.name}")
            latest = {key: _place(value) for key, value in values.items()}
            found[topic.name] = [
                f"{topic.name} {words}" for words in stale_latest(run.by_topic[topic.name], latest)
            ]
    return found


def _place(value: bytes) -> Place:
    record = msgspec.json.decode(value)
    return int(record[PARTITION]), int(record[OFFSET])
