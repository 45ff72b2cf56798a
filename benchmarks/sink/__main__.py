"""Rows a second into PostgreSQL and TimescaleDB: our sink beside others, into the same table.

Writes its part of docs/benchmarks.md, the figures as JSON and a picture of them.

Exit code 1 if ours stored anything else than it was given.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.page import machine
from benchmarks.sink.peers import our_sink
from benchmarks.sink.run import Database, Run, run_peer
from benchmarks.sink.trades import BATCH_RECORDS, draw, load, parts, save
from benchmarks.spread import Spread, Target, in_turn, ratios, spread, verdict_lines
from benchmarks.timescale_root import UnpreparableError, prepared_root, timescale_server
from benchmarks.written import say, write
from headrace.errors import TransientError
from headrace.servers import Servers
from headrace.settings import Settings

SECTION = "sink"
OURS = "headrace"
TITLES = {
    OURS: "**headrace**: the sink's `write`, from columns, positions in the transaction",
    "copy-rows": "psycopg binary COPY, `write_row`: rows were Python tuples before the clock",
    "copy-columns": "psycopg binary COPY, its tuples made of columns: where a sink starts",
    "copy-bytes": "COPY of bytes encoded before the clock: what the server takes",
    "adbc": "ADBC ingest of the columns",
    "insert": "one INSERT a batch: a list for each column, made before the clock",
}
SHOWN = frozenset({"copy-columns", "copy-bytes", "adbc", "insert"})
"""What nothing is held against does its job once: it takes the longest."""
TARGET = "sink into {}: headrace to the plain COPY loop, its rows ready"


def main() -> int:
    """Run all rounds on each kind of server, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=16 * BATCH_RECORDS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--server", choices=SERVERS, action="append")
    parser.add_argument("--peer", choices=TITLES, action="append")
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    chosen = parser.parse_args()
    peers = chosen.peer or list(TITLES)
    found: dict[str, list[Run]] = {}
    missing = ""
    # Not in the project's folder: PostgreSQL serves as another account where we are root.
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as home:
        for kind in chosen.server or SERVERS:
            try:
                with SERVERS[kind](Path(home)) as database:
                    found[kind] = rounds(database, peers, Path(home), chosen.records, chosen.rounds)
            except UnpreparableError as error:
                missing = f"{kind} was not measured: {error}"
                say(missing)
    lines = [*section(found, chosen.records, chosen.rounds), *([missing, ""] if missing else [])]
    print("\n".join(lines))
    if not chosen.dry:
        write(SECTION, lines, figures(found))
    return int(any(wrong(runs) for runs in found.values()))


@contextmanager
def embedded(home: Path) -> Iterator[Database]:
    """Run the PostgreSQL that `headrace up` brings along."""
    settings = Settings.load(home=home, postgres=None)
    with Servers(settings, only=frozenset({"postgres"})) as servers:
        (state,) = servers.states()
        if state.pid is None:
            raise TransientError("the embedded PostgreSQL has no process")
        yield Database(servers.endpoints.postgres, state.pid)


@contextmanager
def timescale(home: Path) -> Iterator[Database]:  # noqa: ARG001  (it has a root of its own)
    """Run a TimescaleDB of Debian's packages, where this machine can."""
    with timescale_server(prepared_root()) as server:
        yield Database(server.dsn, server.pid)


SERVERS = {"PostgreSQL": embedded, "TimescaleDB": timescale}
TABLES = {"PostgreSQL": "partitioned, one index", "TimescaleDB": "a hypertable, Apache edition"}
"""What our migrations make of a topic's table."""


def rounds(
    database: Database, peers: Sequence[str], home: Path, records: int, count: int
) -> list[Run]:
    """Return the runs of so many rounds, in each of which every peer stores all rows once."""
    path = home / "trades.arrow"
    save(draw(records), path)
    prepare(database, path)
    runs = []
    for number in range(count):
        for peer in in_turn([p for p in peers if not number or p not in SHOWN], number):
            name = f"run_{number}_{peer.replace('-', '_')}"
            run = run_peer(database, peer, name, path, records)
            say(
                f"{peer}: {run.rate:,.0f} rows/s, {run.cpu_us:.2f} µs CPU a row, server "
                f"{run.server_cpu_us:.2f}"
            )
            runs.append(run)
    return runs


def prepare(database: Database, path: Path) -> None:
    """Make the tables by our migrations, the week's partition with them, and leave them empty."""
    sink = our_sink(database.template())
    sink.write(parts(load(path)[0]))
    sink.close()
    database.seal()


def by_peer(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return each peer's runs, round by round."""
    ran = {run.peer for run in runs}
    return {name: [run for run in runs if run.peer == name] for name in TITLES if name in ran}


def wrong(runs: Sequence[Run]) -> str:
    """Return what our sink stored that others did not, or nothing."""
    contents = {run.peer: run.content for run in runs}
    return "; ".join(
        f"{peer} stored {content}, {OURS} {contents[OURS]}"
        for peer, content in contents.items()
        if OURS in contents and content != contents[OURS]
    )


def section(found: Mapping[str, Sequence[Run]], records: int, count: int) -> list[str]:
    """Return the part of the page; `found` are the runs on each kind of server."""
    lines = [
        (
            f"`make bench-sink` on {machine()}; medians of {count} rounds (one for who is only "
            f"shown), peers in turn. {records:,} trades (`market.trade.v1`, 14 columns) in "
            f"transactions of {BATCH_RECORDS:,} into the table of our migrations, commits waited "
            "for."
        ),
        "",
    ]
    for kind, runs in found.items():
        lines += [f"**{kind}** ({TABLES[kind]})", "", *table(runs), ""]
    judged = [(kind, by_peer(runs)) for kind, runs in found.items()]
    pairs = [
        (Target(TARGET.format(kind), 0.9, is_most=False), ratio(peers, "copy-rows"))
        for kind, peers in judged
        if OURS in peers and "copy-rows" in peers
    ]
    lines += [*verdict_lines(pairs), ""] if pairs else []
    pictures = (f"![rows/s into {kind}](benchmarks/sink-{kind}.png)" for kind in found)
    return [*lines, *(line for picture in pictures for line in (picture, ""))]


def table(runs: Sequence[Run]) -> list[str]:
    """Return the figures of one server, and what was stored otherwise."""
    lines = [
        "| way | rows/s | range | CPU µs a row | range | server's µs | range |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, mine in by_peer(runs).items():
        rate = spread([run.rate for run in mine]).text(0)
        costs = [spread([run.cpu_us for run in mine]), spread([run.server_cpu_us for run in mine])]
        lines.append(f"| {TITLES[name]} | {rate} | {costs[0].text()} | {costs[1].text()} |")
    return [*lines, "", wrong(runs) or "All tables held the same rows afterwards."]


def ratio(found: Mapping[str, Sequence[Run]], other: str) -> Spread:
    """Return our rate over another's, round by round."""
    return ratios([run.rate for run in found[OURS]], [run.rate for run in found[other]])


def figures(found: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Return the figures as they are drawn and kept, by server."""
    return {
        "machine": machine(),
        "pictures": {
            kind: {
                "title": f"rows/s into {kind}, transactions of {BATCH_RECORDS:,} rows",
                "axis": "rows/s (median of the rounds)",
                "bars": [
                    {
                        "title": TITLES[name].partition(":")[0],
                        "is_ours": name == OURS,
                        **asdict(spread([run.rate for run in mine])),
                    }
                    for name, mine in by_peer(runs).items()
                ],
            }
            for kind, runs in found.items()
        },
        "runs": {kind: [asdict(run) for run in runs] for kind, runs in found.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
