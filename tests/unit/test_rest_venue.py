"""What an answer of a venue means: only its own words about the order count."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateways import limits
from gateways.order_records import command_of
from gateways.rest_venue import RestVenue
from gateways.settings import VenueSettings
from headrace.errors import RecordError, UsageError
from headrace.gateway import Absent, Known, NotSent, Page, Refused, Reply, Unanswered
from tests.gateway_fakes import order

SECRET = "a-secret-of-tests-only"  # noqa: S105  (of no server)
ROW = msgspec.structs.asdict(order(1))
COMMAND = command_of(ROW, ())
REPORT = {
    "client_order_id": "order-1",
    "account": "paper",
    "instrument": "sim:S1",
    "report_sequence": 1,
    "kind": "ACKNOWLEDGED",
    "side": "BUY",
    "quantity_lots": 0,
    "price_ticks": 0,
    "fee_e8": 0,
    "reason": "",
    "venue_time_ns": 5,
    "quote_sequence": 0,
    "is_last": False,
}


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> RestVenue:
    """Return the client, its requests answered here."""
    _VENUE._client._transport = httpx.MockTransport(answer)
    return _VENUE


_VENUE = RestVenue("http://127.0.0.1", key=SecretStr("key"), secret=SecretStr(SECRET))
"""One for all: every new client reads the machine's certificates."""


def replies(status: int, content: bytes) -> Iterator[Reply]:
    """Yield what place, query and cancel make of an answer."""
    venue = answering(lambda _: httpx.Response(status, content=content))
    yield venue.send(COMMAND, expire_time_ns=1)
    yield venue.query(COMMAND)
    yield venue.cancel(COMMAND)


def body(**changed: Any) -> bytes:
    return msgspec.json.encode({"reports": [REPORT | changed]})


@pytest.mark.parametrize("status", [200, 201])
def test_reports_of_the_order_are_known(status: int) -> None:
    for reply in replies(status, body()):
        assert isinstance(reply, Known)
        (report,) = reply.reports
        assert (report.command_id, report.sequence, report.is_last) == ("order-1", 1, False)
        assert report.row == {name: value for name, value in REPORT.items() if name != "is_last"}


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b'{"reports": []}'),
        (200, body(client_order_id="order-2")),
        (200, body(venue_time_ns=2**63)),
        (200, body()[:-2]),
        (202, body()),
        (302, b""),
        (404, b"<html>no such page</html>"),
        (400, b"<html>bad gateway</html>"),
        (408, b'{"code": "timeout"}'),
        (409, b'{"code": "client_order_id_conflict"}'),
        (429, b'{"code": "too_many"}'),
        (500, b'{"code": "order_unknown"}'),
        (503, body()),
        (200, b"x" * (limits.REPLY_BYTES_MAX + 1)),
    ],
)
def test_what_is_not_the_venues_word_on_the_order_says_nothing(status: int, content: bytes) -> None:
    assert all(isinstance(reply, Unanswered) for reply in replies(status, content))


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_refusal_counts_for_a_request_to_place_only(status: int) -> None:
    placed, queried, canceled = replies(status, b'{"code": "no_funds"}')

    assert placed == Refused("no_funds")
    assert isinstance(queried, Unanswered)
    assert isinstance(canceled, Unanswered)


def test_unknown_order_is_absent_to_a_question_only() -> None:
    placed, queried, canceled = replies(404, b'{"code": "order_unknown"}')

    assert isinstance(placed, Unanswered)
    assert queried == canceled == Absent()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), NotSent("venue_unreachable")),
        (httpx.ConnectTimeout("slow"), NotSent("venue_unreachable")),
        (httpx.PoolTimeout("busy"), NotSent("venue_unreachable")),
        (httpx.ReadTimeout("slow"), Unanswered("POST: ReadTimeout")),
        (httpx.WriteTimeout("slow"), Unanswered("POST: WriteTimeout")),
        (httpx.WriteError("cut"), Unanswered("POST: WriteError")),
        (httpx.RemoteProtocolError("cut"), Unanswered("POST: RemoteProtocolError")),
    ],
)
def test_only_a_connection_never_made_means_not_sent(error: Exception, expected: Reply) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    venue = answering(fail)

    assert venue.send(COMMAND, expire_time_ns=1) == expected
    assert isinstance(venue.query(COMMAND), Unanswered)
    assert isinstance(venue.pushed(0, 10), Unanswered)


def test_expiry_of_an_order_is_the_one_given() -> None:
    found: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        found.append(request)
        return httpx.Response(201, content=body())

    answering(note).send(COMMAND, expire_time_ns=77)

    assert found[0].headers["headrace-expire-ns"] == "77"
    assert SECRET not in repr(found[0].headers)


def test_identity_is_quoted_into_the_path() -> None:
    found: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        found.append(request.url.raw_path.decode())
        return httpx.Response(404, content=b'{"code": "order_unknown"}')

    answering(note).query(command_of(ROW | {"client_order_id": "../a?b"}, ()))

    assert found == ["/v1/orders/..%2Fa%3Fb"]


@given(
    st.sampled_from([200, 201, 400, 404, 422, 500]),
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["reports", "code", "events", "end", "number", "report", *REPORT]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ).map(msgspec.json.encode),
    ),
)
def test_no_answer_breaks_the_client(status: int, content: bytes) -> None:
    for reply in replies(status, content):
        assert isinstance(reply, Known | Absent | Refused | Unanswered)
    page = answering(lambda _: httpx.Response(status, content=content)).pushed(0, 10)
    assert isinstance(page, Page | Unanswered)


@pytest.mark.parametrize("changed", [{"client_order_id": ""}, {"quantity_lots": 0}])
def test_record_that_no_venue_could_take_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        command_of(ROW | changed, ())


def test_settings_are_needed_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_VENUE_URL", "http://venue.example")
    monkeypatch.setenv("HEADRACE_VENUE_SECRET", "hunter2")
    monkeypatch.delenv("HEADRACE_VENUE_KEY", raising=False)

    with pytest.raises(UsageError) as caught:
        VenueSettings.load()

    said = str(caught.value)
    assert "HEADRACE_VENUE_KEY" in said
    assert "HEADRACE_VENUE_URL: Value error, expected https://" in said
    assert "HEADRACE_VENUE_SECRET: Value error, expected at least 16" in said
    assert "hunter2" not in said


def test_settings_hide_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_VENUE_KEY", "some-key")
    monkeypatch.setenv("HEADRACE_VENUE_SECRET", SECRET)

    settings = VenueSettings.load()

    assert settings.secret.get_secret_value() == SECRET
    assert SECRET not in repr(settings)
    assert "some-key" not in repr(settings)
