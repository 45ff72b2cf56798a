"""What a run came to, as numbers that can be checked against each other."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from headrace.runtime.stats import quantile_ms
from headrace.sinks.columns import table_name
from headrace.up.run import Run, step_order

WARM_UP_S = 30.0
STATEMENT_TIMEOUT = "120s"
FRAME_PREFIX = "frame_"


def make_report(run: Run, *, database: bool) -> dict[str, Any]:
    """Return the report of a run; counts cover this run, `topics` and `database` all there is."""
    elapsed_s = run.elapsed_s
    steps = step_reports(run, elapsed_s)
    feed = dict(run.feed.said) if run.feed is not None else {}
    topics = run.topic_counts()
    report: dict[str, Any] = {
        "topology": run.topology.name,
        "elapsed_s": round(elapsed_s, 3),
        "feed": feed,
        "frames": frame_account(run, feed),
        "frames_a_second": round(feed.get("frames", 0) / elapsed_s, 1),
        "steps": steps,
        "counts": dict(sorted(counts_of_run(run).items())),
        "topics": topics,
        "lags": run.lags,
        "processes": process_reports(run),
    }
    if database and run.endpoints.postgres:
        report["database"] = database_counts(run)
        report["database_equals_topics"] = all(
            count == topics[topic] for topic, count in report["database"].items()
        )
    return report


def counts_of_run(run: Run) -> Counter[str]:
    """Return the steps' named counters, as far as they grew in this run."""
    found: Counter[str] = Counter()
    for worker in run.workers:
        for name, count in worker.stats["counts"].items():
            found[name] += count - worker.at_start.get(name, 0)
    return found


def frame_account(run: Run, feed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what became of every frame sent, by outcome, and whether it adds up."""
    first = run.topology.steps[0].name
    prefix = f"{first}.{FRAME_PREFIX}"
    outcomes = {
        name.removeprefix(f"{first}."): count
        for name, count in sorted(counts_of_run(run).items())
        if name.startswith(prefix) and count
    }
    sent = feed.get("frames", 0)
    accounted = sum(outcomes.values())
    return {
        "sent": sent,
        "outcomes": outcomes,
        "accounted": accounted,
        "adds_up": sent == accounted,
    }


def step_reports(run: Run, elapsed_s: float) -> dict[str, Any]:
    """Return rate, batch size, lag, latency and dead letters of each step and sink."""
    found: dict[str, Any] = {}
    for worker in run.workers:
        for name, stats in worker.stats["steps"].items():
            counts = np.asarray(stats["latency_counts"], np.int64)
            batches = stats["batches"]
            found[name] = {
                "records_in": stats["records_in"],
                "records_out": stats["records_out"],
                "records_a_second": round(stats["records_in"] / elapsed_s, 1),
                "batches": batches,
                "batch_records_mean": round(stats["records_in"] / batches, 1) if batches else 0.0,
                "lag": stats["lag"],
                "latency_ms_p50": quantile_ms(counts, 0.5),
                "latency_ms_p99": quantile_ms(counts, 0.99),
                "dead_letters": stats["dead_letters"],
                "busy_s": round(stats["busy_s"], 3),
            }
    return {name: found[name] for name in step_order(run.topology) if name in found}


def process_reports(run: Run) -> dict[str, Any]:
    """Return memory, CPU time and restarts of each process of the run."""
    processes = [worker.process for worker in run.workers]
    if run.feed is not None:
        processes.insert(0, run.feed)
    return {
        process.name: {
            "memory_mb_peak": round(process.memory.peak_mb, 1),
            "memory_mb_slope_a_minute": process.memory.slope_mb_a_minute(WARM_UP_S),
            "cpu_s": round(process.cpu_s, 1),
            "restarts": process.restarts,
        }
        for process in processes
    }


def database_counts(run: Run) -> dict[str, int]:
    """Return how many rows the database has for each topic it is sent."""
    topics = [t.name for sink in run.topology.sinks if sink.name == "postgres" for t in sink.reads]
    found = {}
    with psycopg.connect(run.endpoints.postgres, connect_timeout=10) as connection:
        connection.execute(sql.SQL("SET statement_timeout = {}").format(STATEMENT_TIMEOUT))
        for topic in topics:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table_name(topic)))
            row = connection.execute(query).fetchone()
            found[topic] = 0 if row is None else int(row[0])
    return found
