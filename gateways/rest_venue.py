"""A venue's order API over HTTP: place, query and cancel by client order id, executions by cursor.

What an answer means is decided here, strictly: only what the venue itself says of the order counts;
everything else (a proxy's page, half an answer, any 5xx) says nothing.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import msgspec
from pydantic import SecretStr

from gateways import limits
from gateways.order_records import ReportBody, command_of, rejection_of, report_of
from gateways.settings import VenueSettings
from gateways.signing import signed_headers
from headrace.batch import Headers
from headrace.gateway import (
    Absent,
    Command,
    Known,
    NotSent,
    Page,
    Pushed,
    Refused,
    Reply,
    Report,
    Unanswered,
)

REFUSALS = frozenset({400, 401, 403, 422})
"""With a code in the body: the venue has read the request and does nothing. Not 408, 409, 429: they
leave open whether an order with the id exists."""

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures before the first byte of a request."""

_OK = frozenset({200, 201})
_UNKNOWN = 404


class _Order(msgspec.Struct, frozen=True):
    reports: list[ReportBody]  # type: ignore[valid-type]  # made at run time from the record


class _Event(msgspec.Struct, frozen=True):
    number: int
    report: ReportBody  # type: ignore[valid-type]  # made at run time from the record


class _Executions(msgspec.Struct, frozen=True):
    events: list[_Event]
    end: int


class _Problem(msgspec.Struct, frozen=True):
    code: str


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes

    def code(self) -> str:
        """Return the venue's code of a problem, or an empty string if it is not the venue's."""
        try:
            return msgspec.json.decode(self.body, type=_Problem).code
        except msgspec.MsgspecError:
            return ""


class RestVenue:
    """The far side of a gateway whose venue speaks the paper exchange's API."""

    cancel_blocks = True
    """After a cancel of an unknown id the venue takes no order with it any more."""

    def __init__(
        self,
        url: str,
        *,
        key: SecretStr,
        secret: SecretStr,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._key = key
        self._secret = secret
        self._now_ns = now_ns
        self._client = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(
                connect=limits.CONNECT_TIMEOUT_S,
                read=limits.READ_TIMEOUT_S,
                write=limits.WRITE_TIMEOUT_S,
                pool=limits.POOL_TIMEOUT_S,
            ),
            limits=httpx.Limits(max_connections=limits.CONNECTIONS_MAX),
            follow_redirects=False,
            trust_env=False,  # an order must not go through a proxy that a variable names
        )

    def read(self, row: Mapping[str, Any], headers: Headers) -> Command:
        """Return the command in a record of `venue.order.v1`."""
        return command_of(row, headers)

    def refusal(self, command: Command, reason: str) -> Report:
        """Return the report of an order that came to nothing."""
        return rejection_of(command, reason)

    def send(self, command: Command, *, expire_time_ns: int) -> Reply:
        """Place an order; the venue refuses the request after its expiry."""
        answer = self._call("POST", "/v1/orders", expire_time_ns, msgspec.json.encode(command.row))
        if isinstance(answer, _Answer) and answer.status in REFUSALS and (code := answer.code()):
            return Refused(code[: limits.REASON_CHARACTERS_MAX])
        return self._order(command, answer)

    def query(self, command: Command) -> Reply:
        """Ask for an order."""
        return self._ask(command, "GET")

    def cancel(self, command: Command) -> Reply:
        """Cancel an order; one that the venue does not know can't come to it any more."""
        return self._ask(command, "DELETE")

    def pushed(self, after: int, limit: int) -> Page | Unanswered:
        """Return the account's executions after a number."""
        target = f"/v1/executions?{urlencode({'after': after, 'limit': limit})}"
        answer = self._call("GET", target, self._soon_ns())
        if not isinstance(answer, _Answer):
            return Unanswered(answer.reason if isinstance(answer, NotSent) else answer.detail)
        if answer.status not in _OK:
            return Unanswered(f"executions: status {answer.status} {answer.code()}")
        try:
            found = msgspec.json.decode(answer.body, type=_Executions)
        except msgspec.MsgspecError as error:
            return Unanswered(f"executions: {error}")
        events = [Pushed(event.number, report_of(event.report)) for event in found.events]
        return Page(events, found.end)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, command: Command, method: str) -> Reply:
        target = f"/v1/orders/{quote(command.id, safe='')}"
        answer = self._call(method, target, self._soon_ns())
        if isinstance(answer, NotSent):
            return Unanswered(answer.reason)  # nothing was said of the order
        if isinstance(answer, _Answer) and answer.status == _UNKNOWN:
            if answer.code() == "order_unknown":
                return Absent()
            return Unanswered(f"{method} {target}: a 404 that is not the venue's")
        return self._order(command, answer)

    def _order(self, command: Command, answer: "_Answer | NotSent | Unanswered") -> Reply:
        if not isinstance(answer, _Answer):
            return answer
        if answer.status not in _OK:
            return Unanswered(f"order {command.id}: status {answer.status} {answer.code()}")
        try:
            found = msgspec.json.decode(answer.body, type=_Order)
        except msgspec.MsgspecError as error:
            return Unanswered(f"order {command.id}: {error}")
        reports = [report_of(body) for body in found.reports]
        if not reports or any(each.command_id != command.id for each in reports):
            return Unanswered(f"order {command.id}: an answer without reports, or of another order")
        return Known(reports)

    def _soon_ns(self) -> int:
        return self._now_ns() + int(limits.QUESTION_EXPIRE_S * 1e9)

    def _call(
        self, method: str, target: str, expire_ns: int, body: bytes = b""
    ) -> "_Answer | NotSent | Unanswered":
        headers = signed_headers(
            self._key, self._secret, method=method, target=target, expire_ns=expire_ns, body=body
        )
        if body:
            headers["Content-Type"] = "application/json"
        deadline_s = time.monotonic() + limits.CALL_TIMEOUT_S
        try:
            with self._client.stream(method, target, headers=headers, content=body) as response:
                found = bytearray()
                for chunk in response.iter_bytes():
                    found += chunk
                    if len(found) > limits.REPLY_BYTES_MAX or time.monotonic() > deadline_s:
                        return Unanswered(f"{method}: an answer too long or too slow")
                return _Answer(response.status_code, bytes(found))
        except NOT_SENT:
            return NotSent("venue_unreachable")
        except (httpx.HTTPError, httpx.StreamError) as error:
            return Unanswered(f"{method}: {type(error).__name__}")


def open_rest_venue() -> RestVenue:
    """Return the venue that the settings name; connects when it is first asked."""
    settings = VenueSettings.load()
    return RestVenue(settings.url, key=settings.key, secret=settings.secret)
