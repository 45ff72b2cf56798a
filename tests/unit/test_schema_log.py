"""What a record of the schemas' topic says, whoever wrote it."""

import pytest

from headrace.errors import SchemaError
from headrace.kafka.schema_log import read_entry

KEY = b'{"keytype":"SCHEMA","subject":"trade-value","version":1,"magic":1}'
VALUE = b'{"subject":"trade-value","version":1,"id":7,"schema":"{}","deleted":false}'


def test_a_registered_schema_is_read() -> None:
    entry = read_entry(KEY, VALUE)

    assert entry is not None
    assert (entry.subject, entry.id, entry.schema) == ("trade-value", 7, "{}")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, VALUE),
        (KEY, None),
        (b'{"keytype":"NOOP","magic":0}', b"{}"),
        (b'{"keytype":"CONFIG","subject":null,"magic":0}', b'{"compatibilityLevel":"FULL"}'),
    ],
    ids=["no key", "deleted", "no-op", "a subject's configuration"],
)
def test_what_registers_nothing_is_passed_over(key: bytes | None, value: bytes | None) -> None:
    assert read_entry(key, value) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"trade-value", VALUE),
        (b"[]", VALUE),
        (KEY, b"\xff"),
        (KEY, b"[]"),
        (KEY, b'{"subject":"trade-value","schema":"{}"}'),
        (KEY, VALUE.replace(b"7", b'"7"')),
        (KEY, VALUE.replace(b'"{}"', b"{}")),
    ],
)
def test_what_is_no_schemas_record_is_refused(key: bytes, value: bytes) -> None:
    with pytest.raises(SchemaError, match="topic _schemas: expected a schema's record"):
        read_entry(key, value)
