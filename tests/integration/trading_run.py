"""`headrace up` as a process, and what it left in Kafka and the database."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder
from headrace.kafka.read_all import read_all
from headrace.kafka.schema_log import SchemaLog
from headrace.topology import Topic

ROOT = Path(__file__).resolve().parent.parent.parent
RUN_S_MAX = 600


def start_run(
    home: Path,
    report: Path,
    feed: str,
    *options: str,
    topology: str = "trading",
    **servers: str,
) -> subprocess.Popen[str]:
    """Start a run to the end of a feed, as fast as it goes, on these servers or embedded ones."""
    environment = {**os.environ, "HEADRACE_HOME": str(home), "COLUMNS": "160"}
    environment |= {f"HEADRACE_{name.upper()}": value for name, value in servers.items()}
    command = ["up", topology, f"--feed={feed}", "--speed=max", "--until-end"]
    return subprocess.Popen(
        [sys.executable, "-m", "headrace", *command, f"--report={report}", *options],
        env=environment,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish_run(run: subprocess.Popen[str], report: Path) -> dict[str, Any]:
    """Wait for a run to end well and return its report."""
    try:
        said, _ = run.communicate(timeout=RUN_S_MAX)
    except subprocess.TimeoutExpired:
        run.terminate()
        said, _ = run.communicate(timeout=RUN_S_MAX)
        raise AssertionError(f"not done within {RUN_S_MAX} s:\n{said[-3_000:]}") from None
    assert run.returncode == 0, said[-3_000:]
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def read_records(bootstrap: str, topic: Topic) -> list[dict[str, Any]]:
    """Return every record of a topic, partition by partition."""
    schema = load_schema(ROOT / "schemas" / "avro", topic.schema)
    registry = SchemaLog(bootstrap)
    decoder = Decoder(schema, registry.schema)
    found: dict[int, list[dict[str, Any]]] = {}
    for part in read_all(bootstrap, {topic.name: topic.partitions}):
        decoded = decoder.decode(part.values)
        assert not decoded.bad
        found.setdefault(part.partition, []).extend(decoded.records.to_pylist())
    registry.close()
    return [record for partition in sorted(found) for record in found[partition]]


def query(dsn: str, text: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        return connection.execute(text).fetchall()  # type: ignore[arg-type]  # a literal of the tests


ORPHANS = {
    "an event without approval": """
        SELECT count(*) FROM order_event_v1 e WHERE NOT EXISTS (SELECT FROM order_approved_v1 a
          WHERE a.approval_id = e.approval_id AND a.request_id = e.request_id
          AND a.source = e.source AND a.signal_sequence = e.signal_sequence)""",
    "an approval without request": """
        SELECT count(*) FROM order_approved_v1 a WHERE NOT EXISTS (SELECT FROM order_request_v1 r
          WHERE r.request_id = a.request_id AND r.instrument = a.instrument
          AND r.source = a.source AND r.signal_sequence = a.signal_sequence AND r.side = a.side
          AND r.quantity_lots = a.quantity_lots AND r.limit_price_ticks = a.limit_price_ticks)""",
    "a rejection without request": """
        SELECT count(*) FROM order_rejected_v1 j WHERE NOT EXISTS (SELECT FROM order_request_v1 r
          WHERE r.request_id = j.request_id)""",
    "a request without prediction": """
        SELECT count(*) FROM order_request_v1 r WHERE NOT EXISTS (SELECT FROM
          signal_prediction_v1 p WHERE p.instrument = r.instrument AND p.source = r.source
          AND p.sequence = r.signal_sequence AND p.receive_time_ns = r.request_time_ns)""",
    "a prediction without features": """
        SELECT count(*) FROM signal_prediction_v1 p WHERE NOT EXISTS (SELECT FROM
          feature_vector_v1 f WHERE f.instrument = p.instrument AND f.source = p.source
          AND f.sequence = p.sequence)""",
    "features without trade": """
        SELECT count(*) FROM feature_vector_v1 f WHERE NOT EXISTS (SELECT FROM market_trade_v1 t
          WHERE t.instrument = f.instrument AND t.source = f.source AND t.sequence = f.sequence
          AND t.price_ticks = f.price_ticks AND t.receive_time_ns = f.receive_time_ns)""",
    "a fill without venue report": """
        SELECT count(*) FROM order_event_v1 e WHERE fill_lots > 0 AND NOT EXISTS (SELECT FROM
          venue_report_v1 r WHERE r.client_order_id = e.client_order_id AND r.kind = 'FILLED'
          AND r.quantity_lots = e.fill_lots AND r.price_ticks = e.fill_price_ticks)""",
    "a request neither approved nor rejected, or both": """
        SELECT count(*) FROM order_request_v1 r WHERE 1 <> (
          (SELECT count(*) FROM order_approved_v1 a WHERE a.request_id = r.request_id)
          + (SELECT count(*) FROM order_rejected_v1 j WHERE j.request_id = r.request_id))""",
    "an order filled beyond its quantity": """
        SELECT count(*) FROM order_event_v1 WHERE filled_lots > quantity_lots""",
}

POSITIONS_AGAINST_FILLS = """
    WITH fills AS (
      SELECT account, instrument, count(*) FILTER (WHERE fill_lots > 0) AS fill_count,
        sum(CASE side WHEN 'BUY' THEN fill_lots ELSE -fill_lots END) AS quantity_lots,
        sum(cash_delta_e8) AS cash_e8, sum(fill_fee_e8) AS fees_e8
      FROM order_event_v1 GROUP BY account, instrument HAVING sum(fill_lots) > 0),
    held AS (
      SELECT DISTINCT ON (account, instrument) account, instrument, fill_count, quantity_lots,
        cash_e8, fees_e8
      FROM position_v1 ORDER BY account, instrument, kafka_offset DESC)
    SELECT count(*), count(*) FILTER (WHERE
      (f.fill_count, f.quantity_lots, f.cash_e8, f.fees_e8)
      IS DISTINCT FROM (h.fill_count, h.quantity_lots, h.cash_e8, h.fees_e8))
    FROM fills f FULL JOIN held h USING (account, instrument)"""


def assert_sound(dsn: str) -> None:
    """Walk from every order back to the tick, and hold the positions against the fills."""
    with psycopg.connect(dsn, connect_timeout=10, autocommit=True) as connection:
        # The tables are minutes old: without it, the planner compares every row with every other.
        connection.execute("ANALYZE")
    broken = {
        what: rows[0][0] for what, text in ORPHANS.items() if (rows := query(dsn, text))[0][0]
    }
    assert not broken
    ((positions, different),) = query(dsn, POSITIONS_AGAINST_FILLS)
    assert positions > 0
    assert different == 0
