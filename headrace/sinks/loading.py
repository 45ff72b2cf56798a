"""Loads rows by binary COPY and finds the ones the database refuses."""

from collections.abc import Sequence

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from headrace.batch import BoolArray, DeadRow, Part
from headrace.sinks.contract import Rows, Written
from headrace.sinks.encoding import COPY_HEADER, COPY_TRAILER
from headrace.sinks.limits import COPY_ROWS, DETAIL_LENGTH_MAX
from headrace.sinks.tables import SinkTable

NUL_IN_TEXT = "nul_in_text"
REFUSED = "refused_by_database"


def load_rows(
    connection: psycopg.Connection, table: SinkTable, runs: Sequence[Rows], *, isolate: bool
) -> Written:
    """Add rows to their table inside the caller's transaction.

    With `isolate` every refused row is found by halving and left out; without it the first one
    raises psycopg.DataError or IntegrityError: try that first, bad rows are rare.
    """
    dead: list[DeadRow] = []
    clean: list[Rows] = []
    for run in runs:
        bad = _rows_with_nul(table, run)
        if bad is None:
            clean.append(run)
            continue
        dead += [
            DeadRow(run.index, row, NUL_IN_TEXT, "expected text, found a NUL character in it")
            for row in run.numbers[bad].tolist()
        ]
        if not bad.all():
            clean.append(Rows(run.index, run.part, run.numbers[~bad]))
    if not clean:
        return Written(0, dead)
    if isolate:
        loaded = [_load_isolated(connection, table, run) for run in clean]
        return Written(sum(w.rows for w in loaded), [*dead, *(d for w in loaded for d in w.dead)])
    _copy(connection, table, clean)
    return Written(sum(len(run) for run in clean), dead)


def record_rejects(
    connection: psycopg.Connection, parts: Sequence[Part], dead: Sequence[DeadRow]
) -> None:
    """Keep refused records as they stood in the log; a crash after the commit loses none."""
    if not dead:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO headrace.rejected_row "
            "(topic, kafka_partition, kafka_offset, cause, detail, key, value) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    parts[row.part].topic,
                    parts[row.part].partition,
                    int(parts[row.part].offsets[row.row]),
                    row.cause,
                    row.detail,
                    parts[row.part].keys[row.row],
                    parts[row.part].values[row.row],
                )
                for row in dead
            ],
        )


def _copy(connection: psycopg.Connection, table: SinkTable, runs: Sequence[Rows]) -> None:
    with connection.cursor() as cursor, cursor.copy(table.copy_statement) as copy:
        copy.write(COPY_HEADER)
        for run in runs:
            # The server works on one piece while the next is encoded.
            for piece in run.pieces(COPY_ROWS):
                copy.write(table.encode(piece))
        copy.write(COPY_TRAILER)


def _load_isolated(connection: psycopg.Connection, table: SinkTable, run: Rows) -> Written:
    """Load what can be loaded: a run that is refused is halved until the bad row stands alone."""
    try:
        with connection.transaction():
            _copy(connection, table, [run])
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(run) == 1:
            detail = str(error).replace("\0", "")[:DETAIL_LENGTH_MAX]
            return Written(0, [DeadRow(run.index, int(run.numbers[0]), REFUSED, detail)])
    else:
        return Written(len(run))
    halves = np.array_split(run.numbers, 2)
    loaded = [_load_isolated(connection, table, Rows(run.index, run.part, h)) for h in halves]
    return Written(sum(w.rows for w in loaded), [d for w in loaded for d in w.dead])


def _rows_with_nul(table: SinkTable, run: Rows) -> BoolArray | None:
    """Return which rows hold a NUL, the one character PostgreSQL has no text for; None if none."""
    records = run.records
    bad: BoolArray | None = None
    for column in table.columns:
        if column.kind != "text" or column.name not in records.schema.names:
            continue
        texts = records.column(column.name)
        if not _may_hold_nul(texts):
            continue
        found = pc.fill_null(pc.match_substring(texts, "\0"), False).to_numpy(zero_copy_only=False)
        if found.any():
            bad = found if bad is None else bad | found
    return bad


def _may_hold_nul(texts: pa.Array) -> bool:
    data = texts.buffers()[2]
    return data is not None and b"\0" in data.to_pybytes()
