"""What fuzzing found in Avro: records misread or fatal, schemas and answers not refused."""

import json
from struct import pack

import httpx
import pytest

from headrace.avro.registry import HttpRegistry
from headrace.avro.schema import AvroSchema, parse_schema
from headrace.avro.strict import require_record
from headrace.avro.wire import Decoder
from headrace.errors import DecodeError, SchemaError, TransientError

SCHEMA = parse_schema(
    json.dumps(
        {
            "type": "record",
            "name": "Sample",
            "fields": [
                {"name": "small", "type": "int"},
                {"name": "maybe", "type": ["null", "long"]},
                {"name": "is_on", "type": "boolean"},
                {"name": "side", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
                {"name": "levels", "type": {"type": "array", "items": "long"}},
                {"name": "ratio", "type": "double"},
            ],
        }
    ),
    "test",
)
HEADER = b"\x00\x00\x00\x00\x07"
RATIO = pack("<d", 0.5)
GOOD = b"\x02" + b"\x02\x06" + b"\x01" + b"\x00" + b"\x02\x0a\x00" + RATIO
"""small 1, maybe 3, is_on true, side A, levels [5], ratio 0.5."""


def schema_by_id(schema_id: int) -> AvroSchema:
    if schema_id == 7:
        return SCHEMA
    raise SchemaError(f"schema id {schema_id}: expected an Avro record schema, found Protobuf")


def causes(*bodies: bytes) -> list[tuple[int, str]]:
    decoded = Decoder(SCHEMA, schema_by_id).decode([HEADER + body for body in bodies])
    return [(bad.row, bad.cause) for bad in decoded.bad]


def test_the_sample_is_good() -> None:
    assert causes(GOOD) == []


@pytest.mark.parametrize(
    "body",
    [
        b"\x80\x80\x80\x80\x80\x40" + GOOD[1:],
        b"\x80\x80\x80\x80\x10" + GOOD[1:],
        b"\x02" + b"\x01\x06" + GOOD[3:],
        b"\x02" + b"\x02" + b"\xff" * 9 + b"\x7f" + GOOD[3:],
        b"\x02" + b"\x02" + b"\xff" * 10 + b"\x01" + GOOD[3:],
        GOOD[:3] + b"\x02" + GOOD[4:],
        GOOD[:4] + b"\x01" + GOOD[5:],
        GOOD[:5] + b"\x01\x04\x0a\x00" + RATIO,
        GOOD[:5] + b"\x01\xff\xff\xff\xff\x0f\x0a\x00" + RATIO,
    ],
    ids=[
        "an int of 2**33",
        "an int of 2**31, which wraps to one as long",
        "a union's branch -1",
        "a long of 70 bits",
        "a long of 11 bytes",
        "a boolean 2",
        "an enum's symbol -1",
        "a block shorter than it says",
        "a block of negative size",
    ],
)
def test_record_that_readers_would_misread_is_bad_and_its_neighbours_are_not(body: bytes) -> None:
    assert causes(GOOD, body, GOOD) == [(1, "not_avro")]


def test_array_in_several_blocks_with_their_sizes_is_good() -> None:
    blocks = b"\x02\x0a" + b"\x01\x02\x0c" + b"\x00"

    decoded = Decoder(SCHEMA, schema_by_id).decode([HEADER + GOOD[:5] + blocks + RATIO])

    assert decoded.records.column("levels").to_pylist() == [[5, 6]]


def test_array_that_claims_4_quintillion_items_ends_with_the_bytes() -> None:
    body = GOOD[:5] + b"\xfe" + b"\xff" * 7 + b"\x7f" + b"\x0a" * 100

    with pytest.raises(DecodeError, match="expected a number of 64 bits, found the end"):
        require_record(body, SCHEMA)


def test_record_of_a_schema_no_column_can_carry_is_bad_and_does_not_stop_the_worker() -> None:
    values = [HEADER + GOOD, b"\x00\x00\x00\x00\x08" + GOOD]

    decoded = Decoder(SCHEMA, schema_by_id).decode(values)

    assert [(bad.row, bad.cause) for bad in decoded.bad] == [(1, "unknown_schema_id")]


def test_unknown_id_is_asked_for_once_a_batch() -> None:
    asked = []

    def unknown(schema_id: int) -> AvroSchema:
        asked.append(schema_id)
        raise DecodeError(f"schema id {schema_id} is not registered")

    decoded = Decoder(SCHEMA, unknown).decode([HEADER + GOOD] * 50)

    assert len(decoded.bad) == 50
    assert len(asked) <= 2


def test_error_of_schemas_that_do_not_resolve_is_short() -> None:
    fields = [{"name": f"field_{number}", "type": "long"} for number in range(200)]
    other = parse_schema(json.dumps({"type": "record", "name": "O", "fields": fields}), "other")
    body = b"\x00" * 200

    decoded = Decoder(SCHEMA, lambda _: other).decode([HEADER + body])

    assert len(decoded.bad[0].detail) < 600


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"type":"record","name":"A","fields":' + "[" * 5_000 + "]" * 5_000 + "}",
        '{"type":"record","name":"A","__fastavro_parsed__":true}',
        '{"type":"record","name":"A","fields":[{"name":"x","type":"long"},{"name":"x","type":"long"}]}',
        '{"type":"record","name":"A","fields":[{"name":-1,"type":"long"}]}',
        '{"type":"record","name":"A","fields":[{"name":"","type":"long"}]}',
        '{"type":"record","name":"A","fields":[{"name":"\\ud800","type":"long"}]}',
        '{"type":"record","name":"A","fields":[{"name":"x","type":["null","null","int"]}]}',
        '{"type":"record","name":"\\ud800","fields":[]}',
    ],
    ids=[
        "nested too deep", "nested fields", "marked as parsed", "a name twice", "a number as name",
        "an empty name", "half a character", "null twice", "half a character as record",
    ],
)  # fmt: skip
def test_schema_that_cannot_be_is_refused_in_words(text: str) -> None:
    with pytest.raises(SchemaError, match="expected"):
        parse_schema(text, "test")


def test_types_nested_a_thousand_times_are_refused() -> None:
    items = '{"type":"array","items":' * 200 + '"int"' + "}" * 200
    text = f'{{"type":"record","name":"A","fields":[{{"name":"x","type":{items}}}]}}'

    with pytest.raises(SchemaError, match="at most 8 types"):
        parse_schema(text, "test")


class Server:
    """A registry that gives one answer to everything."""

    def __init__(self) -> None:
        self.answer = httpx.Response(200)
        self.registry = HttpRegistry("http://registry")
        self.registry.__dict__["_client"] = httpx.Client(
            base_url="http://registry", transport=httpx.MockTransport(lambda _: self.answer)
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A registry whose retries wait for nothing."""
    monkeypatch.setattr(HttpRegistry._ask.retry, "sleep", lambda _: None)  # type: ignore[attr-defined]
    return Server()


NONSENSE = [
    httpx.Response(200, content=b"<html>"),
    httpx.Response(200, content=b"[" * 100_000),
    httpx.Response(200, content=b"\xff"),
    httpx.Response(200, json={}),
    httpx.Response(200, json=[]),
    httpx.Response(200, json={"schema": 5, "id": "7"}),
    httpx.Response(200, json={"schema": None, "id": 2**31}),
    httpx.Response(301),
]


@pytest.mark.parametrize("answer", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_of_a_registry_is_weather(server: Server, answer: httpx.Response) -> None:
    server.answer = answer

    with pytest.raises(TransientError, match="the registry at http://registry"):
        server.registry.schema(5)
    with pytest.raises(TransientError, match="the registry at http://registry"):
        server.registry.register("subject", SCHEMA)


def test_records_are_not_given_up_because_a_registry_refuses_the_log_in(server: Server) -> None:
    server.answer = httpx.Response(401, json={"error_code": 40101})

    with pytest.raises(TransientError, match="found 401"):
        server.registry.schema(5)


def test_record_of_an_id_the_registry_does_not_have_is_bad(server: Server) -> None:
    server.answer = httpx.Response(404, json={"error_code": 40403})

    with pytest.raises(DecodeError, match="not in the registry"):
        server.registry.schema(5)


@pytest.mark.parametrize(
    ("items", "numbers", "is_good"),
    [
        ("long", b"\x00\x01\xfe" + b"\xff" * 8 + b"\x01" + b"\xff" * 9 + b"\x01", True),
        ("long", b"\x00\x01\x02" + b"\xff" * 9 + b"\x02", False),
        ("long", b"\x00\x01\x02" + b"\xff" * 10 + b"\x01", False),
        ("int", b"\x00\x01\xfe\xff\xff\xff\x0f\xff\xff\xff\xff\x0f", True),
        ("int", b"\x00\x01\x02\xff\xff\xff\xff\x10", False),
        ("int", b"\x00\x01\x02\xff\xff\xff\xff\xff\x01", False),
    ],
    ids=["longs", "65 bits", "11 bytes", "ints", "33 bits", "36 bits"],
)
def test_numbers_of_an_array_are_within_their_bits(
    items: str, numbers: bytes, is_good: bool
) -> None:
    schema = parse_schema(
        '{"type":"record","name":"A","fields":[{"name":"x","type":'
        f'{{"type":"array","items":"{items}"}}}}]}}',
        "test",
    )
    body = b"\x08" + numbers + b"\x00"

    if is_good:
        require_record(body, schema)
    else:
        with pytest.raises(DecodeError, match="expected a number of"):
            require_record(body, schema)


@pytest.mark.parametrize(
    "field",
    [
        {"name": "x", "type": {"type": "int", "logicalType": "é" * 100_000}},
        {"name": "x", "type": ["int", {"type": "enum", "name": "E" * 100_000, "symbols": []}]},
        {"name": "x" * 100_000, "type": "bytes"},
    ],
    ids=["a type's", "a union's", "a field's name"],
)
def test_error_of_a_schema_is_short_however_long_its_words_are(field: dict[str, object]) -> None:
    document = {"type": "record", "name": "A", "fields": [field]}

    with pytest.raises(SchemaError) as found:
        parse_schema(json.dumps(document, ensure_ascii=False), "here")

    assert len(str(found.value)) < 1_000
