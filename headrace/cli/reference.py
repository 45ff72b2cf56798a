"""`headrace reference`: a table from outside as a topic that steps look rows up in."""

import json
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Annotated

import structlog
import typer
from pydantic import SecretStr

from headrace import limits
from headrace.avro.schema import AvroSchema
from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, AsJson, ProjectFolder, TopologyName
from headrace.errors import AbortedError, RecordError, TransientError, UsageError
from headrace.project import Project
from headrace.reference.load import Loaded, ReferenceLoader
from headrace.reference.postgres import read_postgres
from headrace.reference.rows import RefusedRow, Row
from headrace.reference.table_files import SUFFIXES, read_table_file
from headrace.servers import Endpoints
from headrace.settings import Settings
from headrace.sinks.connection import require_dsn
from headrace.topology import Topic, Topology

log = structlog.get_logger(__name__)

POSTGRES = "postgres"
REFUSED_SHOWN = 20
_SECONDS = {"s": 1, "m": 60, "h": 3_600}

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Tables from outside, as reference topics."
)


@app.callback()
def _reference() -> None:
    """Tables from outside, as reference topics."""


@app.command("load")
def load(
    topology: TopologyName,
    topic: Annotated[str, typer.Argument(help="A topic declared with reference=True.")],
    source: Annotated[
        str, typer.Option("--from", help="postgres, FILE.csv or FILE.parquet.")
    ] = POSTGRES,
    table: Annotated[
        str | None, typer.Option("--table", help="Of postgres: TABLE or SCHEMA.TABLE, or a view.")
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", help="Load again and again, as 30s, 5m or 1h.")
    ] = None,
    as_json: AsJson = False,
    project: ProjectFolder = HERE,
) -> None:
    """Write the rows of a table that changed to a reference topic, and which are gone.

    Each goes to every partition, all in one transaction. A row that does not fit the topic's schema
    is named and left as it was, and the exit code is 1.
    """
    from headrace.runtime.assemble import ensure_topics, load_codecs, open_registry

    log_to_stderr()
    pause_s = None if every is None else parse_pause(every)
    found = Project(Path(project))
    chosen = found.topology(topology)
    wanted = reference_of(chosen, topic)
    require_source(source, table)
    settings = Settings.load()
    needs_own = source == POSTGRES and settings.reference_postgres is None
    servers = {"kafka", "postgres"} if needs_own else {"kafka"}
    with connected(settings, only=frozenset(servers)) as endpoints:
        ensure_topics(chosen, endpoints.kafka)
        codecs = load_codecs(found, open_registry(settings, endpoints.kafka), [wanted])
        codec = codecs[topic]
        read = reader_of(source, table, codec.schema, settings, endpoints)
        tell = _Teller(wanted, as_json=as_json)
        if pause_s is not None:
            keep_loading(
                lambda: ReferenceLoader(codec, endpoints.kafka), read, tell, pause_s, _stop_asked()
            )
            return
        tell(ReferenceLoader(codec, endpoints.kafka).load(read()))
    if tell.refused:
        raise RecordError(
            f"topic {topic}: {len(tell.refused)} rows do not fit {wanted.schema}, and were left "
            "as they were; mend them, or leave them out by a view"
        )


def keep_loading(
    open_loader: Callable[[], ReferenceLoader],
    read: Callable[[], Sequence[Row]],
    tell: Callable[[Loaded], None],
    pause_s: float,
    stop: Event,
) -> None:
    """Load until it is to stop; what is away for a while is tried again, with a new loader.

    Raises:  what failed last, if that was `REFERENCE_FAILURES_MAX` times in a row.
    """
    loader: ReferenceLoader | None = None
    failures = 0
    while not stop.is_set():
        try:
            loader = loader or open_loader()
            tell(loader.load(read()))
            failures = 0
        except (TransientError, AbortedError) as error:
            # Whether it counted is not known: what the topic holds is read anew.
            loader, failures = None, failures + 1
            log.warning("reference_load_failed", error=str(error), failures=failures)
            if failures >= limits.REFERENCE_FAILURES_MAX:
                raise
        stop.wait(pause_s)


def _stop_asked() -> Event:
    """Return what is set once a signal asks the process to end."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def reference_of(topology: Topology, name: str) -> Topic:
    """Return the reference topic of that name.

    Raises:  UsageError if the topology has none.
    """
    found = {topic.name: topic for topic in topology.topics if topic.reference}
    if name not in found:
        names = ", ".join(found) or "none; declare one with Topic(reference=True)"
        raise UsageError(
            f"topology {topology.name} has no reference topic {name!r}; it has {names}"
        )
    return found[name]


def require_source(source: str, table: str | None) -> None:
    """Refuse what rows cannot be read from.

    Raises:  UsageError.
    """
    if source == POSTGRES and not table:
        raise UsageError("--from postgres: expected --table TABLE or SCHEMA.TABLE, found none")
    if source != POSTGRES and table:
        raise UsageError(f"--from {source}: expected no --table, found {table!r}; a file is one")
    if source != POSTGRES and Path(source).suffix not in SUFFIXES:
        raise UsageError(
            f"--from {source}: expected {POSTGRES}, or a file ending in {' or '.join(SUFFIXES)}"
        )


def reader_of(
    source: str, table: str | None, schema: AvroSchema, settings: Settings, endpoints: Endpoints
) -> Callable[[], Sequence[Row]]:
    """Return what reads the rows of a table as they are when it is called."""
    if source != POSTGRES:
        return lambda: read_table_file(Path(source), schema)
    dsn = settings.reference_postgres or SecretStr(endpoints.postgres)
    own = "REFERENCE_" if settings.reference_postgres else ""
    require_dsn(dsn, f"HEADRACE_{own}POSTGRES")
    return lambda: read_postgres(dsn, table or "", schema.arrow.names)


def parse_pause(text: str) -> float:
    """Return how many seconds `30s`, `5m` or `1h` is.

    Raises:  UsageError if it is none of these, less than a second or more than a day.
    """
    found = re.fullmatch(r"(\d{1,6})([smh])", text)
    pause_s = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 1 <= pause_s <= limits.REFERENCE_EVERY_S_MAX:
        raise UsageError(f"--every {text}: expected 1s to 24h, as in 30s, 5m or 1h")
    return pause_s


class _Teller:
    """Says what each load did, and of refused rows those that were not refused the last time."""

    def __init__(self, topic: Topic, *, as_json: bool) -> None:
        self._topic = topic
        self._as_json = as_json
        self.refused: Sequence[RefusedRow] = ()

    def __call__(self, loaded: Loaded) -> None:
        """Tell of one load."""
        fresh = [row for row in loaded.refused if row not in self.refused]
        self.refused = loaded.refused
        for row in fresh[:REFUSED_SHOWN]:
            log.warning(
                "reference_row_refused",
                topic=self._topic.name,
                row=row.number,
                key=row.key[:100],
                detail=row.detail,
            )
        if len(fresh) > REFUSED_SHOWN:
            more = len(fresh) - REFUSED_SHOWN
            log.warning("reference_rows_refused", topic=self._topic.name, more=more)
        said = {"topic": self._topic.name, "partitions": self._topic.partitions, **asdict(loaded)}
        if self._as_json:
            sys.stdout.write(json.dumps(said) + "\n")
        else:
            sys.stdout.write(
                f"{loaded.rows:,} rows for {self._topic.name}: {loaded.changed:,} written, "
                f"{loaded.removed:,} removed, {len(loaded.refused):,} refused, in each of "
                f"{self._topic.partitions} partitions\n"
            )
        sys.stdout.flush()
