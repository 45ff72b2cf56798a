"""What a schema becomes in SQL."""

import pytest

from headrace import Topic
from headrace.errors import SchemaError
from headrace.sinks import ddl_for
from headrace.sinks.columns import columns_of, table_name, time_field


def record(*fields: tuple[str, object]) -> dict[str, object]:
    return {
        "type": "record",
        "name": "Some",
        "fields": [{"name": name, "type": kind} for name, kind in fields],
    }


def kind_of(kind: object) -> tuple[str, bool]:
    column = columns_of("some.topic.v1", record(("field", kind)))[-1]
    return column.kind, column.nullable


@pytest.mark.parametrize(
    ("avro", "expected"),
    [
        ("long", ("bigint", False)),
        ("int", ("integer", False)),
        ("double", ("double precision", False)),
        ("float", ("real", False)),
        ("boolean", ("boolean", False)),
        ("string", ("text", False)),
        ("bytes", ("bytea", False)),
        (["null", "long"], ("bigint", True)),
        (["string", "null"], ("text", True)),
        (["long", "string"], ("jsonb", True)),
        ({"type": "long"}, ("bigint", False)),
        ({"type": "enum", "name": "Side", "symbols": ["BUY"]}, ("text", False)),
        ({"type": "fixed", "name": "Hash", "size": 32}, ("bytea", False)),
        ({"type": "array", "items": "long"}, ("bigint[]", False)),
        ({"type": "array", "items": "string"}, ("jsonb", False)),
        ({"type": "array", "items": ["null", "long"]}, ("jsonb", False)),
        ({"type": "map", "values": "long"}, ("jsonb", False)),
        (record(("inner", "long")), ("jsonb", False)),
        ({"type": "long", "logicalType": "timestamp-micros"}, ("timestamp with time zone", False)),
        ({"type": "int", "logicalType": "date"}, ("date", False)),
    ],
)
def test_each_avro_type_has_its_column_type(avro: object, expected: tuple[str, bool]) -> None:
    assert kind_of(avro) == expected


def test_a_named_type_is_known_when_it_is_named_again() -> None:
    side = {"type": "enum", "name": "a.b.Side", "symbols": ["BUY"]}

    columns = columns_of("t", record(("first", side), ("second", ["null", "a.b.Side"])))

    assert [column.kind for column in columns[-2:]] == ["text", "text"]


@pytest.mark.parametrize(
    "kind",
    [{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, "Unknown"],
)
def test_a_type_without_a_column_is_refused_by_name(kind: object) -> None:
    with pytest.raises(SchemaError, match=r"topic some\.topic\.v1, field field"):
        kind_of(kind)


def test_a_field_named_like_the_sinks_own_is_refused() -> None:
    with pytest.raises(SchemaError, match="field time: the sink's own"):
        columns_of("t", record(("time", "long")))


def test_a_schema_that_is_no_record_is_refused() -> None:
    with pytest.raises(SchemaError, match="expected a record"):
        columns_of("t", {"type": "enum", "name": "E", "symbols": ["A"]})


@pytest.mark.parametrize(
    ("topic", "table"),
    [("market.trade.v1", "market_trade_v1"), ("My-Topic.v2", "my_topic_v2")],
)
def test_a_table_is_named_after_its_topic(topic: str, table: str) -> None:
    assert table_name(topic) == table


def test_a_topic_whose_table_name_postgres_would_cut_is_refused() -> None:
    with pytest.raises(SchemaError, match="shorter name"):
        table_name("a" * 51)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("event_time_ns", "long"), ("receive_time_ns", "long")], "receive_time_ns"),
        ([("event_time_ns", ["null", "long"]), ("send_time_ns", "long")], "send_time_ns"),
        ([("quote_time_ns", "long"), ("request_time_ns", "long")], "request_time_ns"),
        ([("quote_time_ns", "long")], None),
    ],
)
def test_time_is_the_best_field_that_is_never_null(
    fields: list[tuple[str, object]], expected: str | None
) -> None:
    assert time_field(columns_of("t", record(*fields))) == expected


def test_the_ddl_of_a_kept_topic_makes_a_time_table() -> None:
    ddl = ddl_for(Topic("a.b.v1", "s", key=("x",)), record(("x", "string"), ("y", "long")))

    text = ddl.as_string(None)
    assert 'CREATE TABLE "a_b_v1"' in text
    assert '"y" bigint NOT NULL' in text
    assert 'CREATE INDEX ON "a_b_v1" ("x", time DESC);' in text
    assert "SELECT headrace.make_time_table('a_b_v1', 'x');" in text


def test_the_ddl_of_a_compacted_topic_makes_an_ordinary_table() -> None:
    topic = Topic("a.b.v1", "s", key=("x",), cleanup="compact")

    text = ddl_for(topic, record(("x", "string"))).as_string(None)

    assert "PRIMARY KEY (kafka_partition, kafka_offset)" in text
    assert "make_time_table" not in text


def test_a_name_cannot_break_out_of_the_ddl() -> None:
    ddl = ddl_for(Topic("t", "s", key=()), record(('x" text); DROP TABLE t; --', "long")))

    assert '"x"" text); DROP TABLE t; --" bigint NOT NULL' in ddl.as_string(None)
