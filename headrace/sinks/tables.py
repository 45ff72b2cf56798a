"""The tables a PostgreSQL sink writes: made where missing, compared with the schema where not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
import pyarrow as pa
import structlog
from psycopg import sql

from headrace.errors import SchemaError, UsageError
from headrace.sinks.columns import (
    Column,
    Schema,
    columns_of,
    ddl_for,
    table_name,
    time_field,
)
from headrace.sinks.contract import Rows
from headrace.sinks.encoding import copy_order, encode_rows, time_from_ms, time_from_ns
from headrace.topology import Topic

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SinkTable:
    """A table and how a part of its topic becomes rows of it; `columns` in COPY's order."""

    topic: Topic
    name: str
    columns: tuple[Column, ...]
    time_field: str | None

    @classmethod
    def of(cls, topic: Topic, schema: Schema) -> "SinkTable":
        """Return the table of a topic."""
        columns = columns_of(topic.name, schema)
        return cls(topic, table_name(topic.name), tuple(copy_order(columns)), time_field(columns))

    @property
    def is_time_table(self) -> bool:
        """Return whether the table is divided by time: all but those of compacted topics."""
        return self.topic.cleanup != "compact"

    @property
    def copy_statement(self) -> sql.Composed:
        """Return the COPY that `encode` makes the rows for."""
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in self.columns)
        return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            sql.Identifier(self.name), names
        )

    def times(self, rows: Rows) -> pa.Array:
        """Return each row's `time`."""
        if self.time_field is None:
            return time_from_ms(rows.part.timestamps_ms[rows.numbers])
        return time_from_ns(rows.records.column(self.time_field))

    def encode(self, rows: Rows) -> memoryview:
        """Return the rows as they go into the COPY."""
        records = rows.records
        values = dict(zip(records.schema.names, records.columns, strict=True))
        values["time"] = self.times(rows)
        values["kafka_partition"] = pa.repeat(pa.scalar(rows.part.partition, pa.int32()), len(rows))
        values["kafka_offset"] = pa.array(rows.part.offsets[rows.numbers])
        return encode_rows(self.columns, values)


def prepare_tables(
    connection: psycopg.Connection, topics: Sequence[Topic], schemas: Mapping[str, Schema]
) -> dict[str, SinkTable]:
    """Return the table of each topic by the topic's name, making those no migration made.

    Raises:  UsageError if a table that is there does not fit its schema.
             SchemaError if a topic has no schema here or two topics share a table.
    """
    tables: dict[str, SinkTable] = {}
    for topic in topics:
        if topic.name not in schemas:
            raise SchemaError(f"sink postgres: no schema was given for topic {topic.name}")
        table = SinkTable.of(topic, schemas[topic.name])
        for other in tables.values():
            if other.name == table.name:
                raise SchemaError(
                    f"topics {other.topic.name} and {topic.name} would share the table {table.name}"
                )
        found = _columns_in_database(connection, table.name)
        if not found:
            with connection.transaction():
                connection.execute(ddl_for(topic, schemas[topic.name]))
            log.info("made table", table=table.name, topic=topic.name)
        else:
            _require_fit(table, found)
        tables[topic.name] = table
    return tables


def _columns_in_database(connection: psycopg.Connection, name: str) -> dict[str, tuple[str, bool]]:
    """Return type and whether a value must be given, by column; nothing if there is no table."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef "
        "FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(%s)) "
        "AND attnum > 0 AND NOT attisdropped",
        [name],
    )
    return {column: (kind, required) for column, kind, required in rows}


def _require_fit(table: SinkTable, found: Mapping[str, tuple[str, bool]]) -> None:
    where = f"table {table.name} of topic {table.topic.name}"
    mend = "; write a migration that makes it fit"
    for column in table.columns:
        if column.name not in found:
            raise UsageError(
                f"{where}: expected a column {column.name} {column.kind}, found none{mend}"
            )
        kind, required = found[column.name]
        if kind != column.kind:
            raise UsageError(
                f"{where}: column {column.name} is expected as {column.kind}, found {kind}{mend}"
            )
        if required and column.nullable:
            raise UsageError(
                f"{where}: column {column.name} can be null in the schema, not in the table{mend}"
            )
    known = {column.name for column in table.columns}
    for name, (_, required) in found.items():
        if required and name not in known:
            raise UsageError(
                f"{where}: column {name} must be given, but the schema has no such field{mend}"
            )
