"""Makes the partitions of plain PostgreSQL's time tables before rows need them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pyarrow as pa
import structlog

from headrace.batch import Part
from headrace.sinks.contract import Rows
from headrace.sinks.limits import PARTITION_DAYS, PARTITIONS_NEW_MAX
from headrace.sinks.tables import SinkTable

log = structlog.get_logger(__name__)

_SPAN_US = PARTITION_DAYS * 86_400_000_000
_ORIGIN = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday
_ORIGIN_US = int(_ORIGIN.timestamp()) * 1_000_000


class PartitionMaker:
    """Remembers which partitions there are, so that the server is asked once a week of data."""

    def __init__(self) -> None:
        self._known: dict[str, set[int]] = {}

    def make_for(
        self,
        connection: psycopg.Connection,
        tables: Mapping[str, SinkTable],
        parts: Sequence[Part],
    ) -> None:
        """Make the partitions these parts need, outside of the transaction that loads them.

        Inside it the lock on the parent would be held until the commit, and two sinks could wait
        for each other. Rows whose partition could not be made go to the default one.
        """
        for index, part in enumerate(parts):
            table = tables.get(part.topic)
            if table is None or not table.is_time_table or not len(part):
                continue
            known = self._known.setdefault(table.name, set())
            spans = _spans(table, Rows(index, part, np.arange(len(part), dtype=np.int64)))
            new = sorted(spans - known)
            if not new:
                continue
            if len(new) > PARTITIONS_NEW_MAX:
                log.warning(
                    "times are scattered: rows go to the default partition",
                    table=table.name,
                    spans=len(new),
                )
                new = new[-PARTITIONS_NEW_MAX:]
            connection.execute(
                "SELECT headrace.make_partitions(%s, %s::date[], %s)",
                [table.name, [_start(span) for span in new], PARTITION_DAYS],
            )
            known.update(new)


def _spans(table: SinkTable, rows: Rows) -> set[int]:
    times_us = table.times(rows).cast(pa.int64()).to_numpy()
    return set(np.unique((times_us - _ORIGIN_US) // _SPAN_US).tolist())


def _start(span: int) -> date:
    return (_ORIGIN + timedelta(days=PARTITION_DAYS * span)).date()
