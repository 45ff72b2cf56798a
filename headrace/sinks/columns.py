"""What a topic's schema becomes in SQL: its table, its columns, its DDL."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from psycopg import sql

from headrace.errors import SchemaError
from headrace.sinks.limits import TABLE_NAME_LENGTH_MAX
from headrace.topology import Topic

Schema: TypeAlias = Mapping[str, Any]

Kind: TypeAlias = Literal[
    "boolean", "integer", "bigint", "real", "double precision", "text", "bytea", "date",
    "timestamp with time zone", "boolean[]", "integer[]", "bigint[]", "real[]",
    "double precision[]", "jsonb",
]  # fmt: skip
"""SQL types by the name PostgreSQL itself gives them (`format_type`)."""

TIME_FIELDS = (
    "receive_time_ns",
    "event_time_ns",
    "request_time_ns",
    "venue_time_ns",
    "send_time_ns",
)
"""Fields that can be a row's `time`, best first; a topic with none of them takes Kafka's."""

_PRIMITIVES: Mapping[str, Kind] = {
    "boolean": "boolean",
    "int": "integer",
    "long": "bigint",
    "float": "real",
    "double": "double precision",
    "string": "text",
    "bytes": "bytea",
}
_LOGICAL: Mapping[str, Kind] = {
    "timestamp-millis": "timestamp with time zone",
    "timestamp-micros": "timestamp with time zone",
    "date": "date",
    "uuid": "text",
}
_NAMED: Mapping[str, Kind] = {"enum": "text", "fixed": "bytea", "record": "jsonb"}
_ARRAYS: Mapping[Kind, Kind] = {
    "boolean": "boolean[]",
    "integer": "integer[]",
    "bigint": "bigint[]",
    "real": "real[]",
    "double precision": "double precision[]",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a sink's table."""

    name: str
    kind: Kind
    nullable: bool
    doc: str = ""


TRACE_COLUMNS = (
    Column("kafka_partition", "integer", nullable=False, doc="Partition of the topic"),
    Column("kafka_offset", "bigint", nullable=False, doc="Offset in the partition"),
    Column("time", "timestamp with time zone", nullable=False, doc="When, to the microsecond"),
)
"""What every table has before the fields of its schema."""


def table_name(topic: str) -> str:
    """Return the table of a topic: `market.trade.v1` → `market_trade_v1`."""
    name = re.sub(r"[^a-z0-9]+", "_", topic.lower())
    if len(name) > TABLE_NAME_LENGTH_MAX:
        raise SchemaError(
            f"topic {topic}: its table would be named by {len(name)} characters, "
            f"at most {TABLE_NAME_LENGTH_MAX} fit; give the topic a shorter name"
        )
    return name


def columns_of(topic: str, schema: Schema) -> tuple[Column, ...]:
    """Return the columns of a topic's table, the trace columns first, then the fields in order.

    Raises:  SchemaError if the schema is no record or a field has no place in a table.
    """
    if schema.get("type") != "record":
        raise SchemaError(f"topic {topic}: expected a record schema, found {schema.get('type')!r}")
    named: dict[str, Kind] = {}
    columns = list(TRACE_COLUMNS)
    for field in schema["fields"]:
        where = f"topic {topic}, field {field['name']}"
        if any(field["name"] == column.name for column in TRACE_COLUMNS):
            raise SchemaError(f"{where}: the sink's own column has that name; rename the field")
        kind, nullable = _nullable_kind(field["type"], named, where)
        columns.append(Column(field["name"], kind, nullable, field.get("doc", "")))
    return tuple(columns)


def time_field(columns: Sequence[Column]) -> str | None:
    """Return the field a row's `time` is taken from, or None if Kafka's timestamp is."""
    usable = {column.name for column in columns if column.kind == "bigint" and not column.nullable}
    return next((name for name in TIME_FIELDS if name in usable), None)


def ddl_for(topic: Topic, schema: Schema) -> sql.Composed:
    """Return the statements that make a topic's table where no migration does.

    A topic that is kept (`cleanup="delete"`) becomes a time table: a hypertable or a partitioned
    table, as the server allows. A compacted one is an ordinary table of every value a key had.
    """
    table = sql.Identifier(table_name(topic.name))
    columns = columns_of(topic.name, schema)
    names = {column.name for column in columns}
    key = [sql.Identifier(name) for name in topic.key if name in names]
    statements = [
        sql.SQL("CREATE TABLE {} (\n{}\n);").format(
            table, sql.SQL(",\n").join(_declaration(column) for column in columns)
        )
    ]
    statements += [
        sql.SQL("COMMENT ON COLUMN {}.{} IS {};").format(
            table, sql.Identifier(column.name), sql.Literal(column.doc)
        )
        for column in columns
        if column.doc
    ]
    if topic.cleanup == "compact":
        statements.append(
            sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (kafka_partition, kafka_offset);").format(table)
        )
        order = sql.SQL("kafka_offset DESC")
    else:
        order = sql.SQL("time DESC")
    if key:
        statements.append(
            sql.SQL("CREATE INDEX ON {} ({});").format(table, sql.SQL(", ").join([*key, order]))
        )
    if topic.cleanup != "compact":
        segment = sql.Literal(topic.key[0] if key else None)
        statements.append(
            sql.SQL("SELECT headrace.make_time_table({}, {});").format(
                sql.Literal(table_name(topic.name)), segment
            )
        )
    return sql.SQL("\n").join(statements)


def _declaration(column: Column) -> sql.Composed:
    rest = "" if column.nullable else " NOT NULL"
    # The kind is one of ours, never a user's text.
    return sql.SQL("    {} {}{}").format(
        sql.Identifier(column.name), sql.SQL(column.kind), sql.SQL(rest)
    )


def _nullable_kind(kind: Any, named: dict[str, Kind], where: str) -> tuple[Kind, bool]:
    if not isinstance(kind, list):
        return _kind(kind, named, where), False
    branches = [branch for branch in kind if branch != "null"]
    if len(branches) != 1:
        return "jsonb", True
    return _kind(branches[0], named, where), len(branches) < len(kind)


def _kind(kind: Any, named: dict[str, Kind], where: str) -> Kind:
    if isinstance(kind, str):
        found = _PRIMITIVES.get(kind) or named.get(kind) or named.get(kind.rpartition(".")[2])
        if found is None:
            raise SchemaError(f"{where}: unknown type {kind!r}")
        return found
    if logical := kind.get("logicalType"):
        if logical not in _LOGICAL:
            raise SchemaError(
                f"{where}: logical type {logical!r} has no column type here; "
                f"use a scaled long, a string, or one of {', '.join(_LOGICAL)}"
            )
        return _LOGICAL[logical]
    match kind["type"]:
        case "array" if isinstance(kind["items"], str):
            return _ARRAYS.get(_kind(kind["items"], named, where), "jsonb")
        case "enum" | "fixed" | "record" as complex_kind:
            named[kind["name"].rpartition(".")[2]] = _NAMED[complex_kind]
            return _NAMED[complex_kind]
        case "array" | "map":
            return "jsonb"
        case inner:
            return _kind(inner, named, where)
