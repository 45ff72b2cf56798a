"""What the client says of a member is read as it is written, and nothing else is taken for it."""

import struct

import pytest

from headrace.errors import InvariantError
from headrace.kafka.produce_wire import Member, member_of


def metadata(generation: int, rest: bytes) -> bytes:
    return b"CGMDv2:" + struct.pack("=i", generation) + rest


@pytest.mark.parametrize(
    ("written", "member"),
    [
        (metadata(7, b"group\0member\0\1"), Member("group", 7, "member", None)),
        (metadata(-1, b"group\0\0\0one\0"), Member("group", -1, "", "one")),
    ],
)
def test_a_member_is_read(written: bytes, member: Member) -> None:
    assert member_of(written) == member


@pytest.mark.parametrize("written", [b"", b"CGMDv2:", metadata(1, b"group"), b"CGMDv3:" + bytes(9)])
def test_another_form_is_refused(written: bytes) -> None:
    with pytest.raises(InvariantError, match="metadata"):
        member_of(written)
