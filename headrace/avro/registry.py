"""Schema ids: from a Confluent-compatible registry when one is configured, else from Kafka."""

from functools import cached_property
from typing import Any, Protocol

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from headrace.avro.schema import AvroSchema, parse_schema
from headrace.errors import DecodeError, SchemaError, TransientError

ATTEMPTS_MAX = 5
REQUEST_TIMEOUT_S = 5.0

SCHEMA_ID_MAX = 2**31 - 1
"""An id takes four bytes of a record's header."""

ANSWER_CHARACTERS_MAX = 300
"""Of an answer in an error's text."""


class Registry(Protocol):
    """Knows which id stands for which schema; ids never change their meaning."""

    def register(self, subject: str, schema: AvroSchema) -> int:
        """Return the id of a schema under a subject, giving it one if it has none."""

    def schema(self, schema_id: int) -> AvroSchema:
        """Return the schema of an id. Raises DecodeError if there is none."""


def subject_of(topic: str) -> str:
    """Return the subject under which tools look for the schema of a topic's values."""
    return f"{topic}-value"


class HttpRegistry:
    """A Confluent-compatible registry, asked over HTTP; answers are kept."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._schemas: dict[int, AvroSchema] = {}

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, timeout=REQUEST_TIMEOUT_S)

    def register(self, subject: str, schema: AvroSchema) -> int:
        """Return the id of a schema under a subject, giving it one if it has none."""
        answer = self._ask("POST", f"/subjects/{subject}/versions", {"schema": schema.text})
        if answer.is_client_error:
            raise SchemaError(
                f"subject {subject}: the registry at {self._url} refused schema {schema.name}: "
                f"{answer.text[:ANSWER_CHARACTERS_MAX]}"
            )
        schema_id: int = self._said(answer, "id", int)
        if not 0 <= schema_id <= SCHEMA_ID_MAX:
            raise self._nonsense(answer, f"an id up to {SCHEMA_ID_MAX}")
        self._schemas[schema_id] = schema
        return schema_id

    def schema(self, schema_id: int) -> AvroSchema:
        """Return the schema of an id. Raises DecodeError if there is none."""
        found = self._schemas.get(schema_id)
        if found is None:
            answer = self._ask("GET", f"/schemas/ids/{schema_id}", None)
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise DecodeError(f"schema id {schema_id} is not in the registry at {self._url}")
            found = parse_schema(self._said(answer, "schema", str), f"schema id {schema_id}")
            self._schemas[schema_id] = found
        return found

    @retry(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_attempt(ATTEMPTS_MAX),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        reraise=True,
    )
    def _ask(self, method: str, path: str, body: dict[str, str] | None) -> httpx.Response:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.RequestError as error:
            raise TransientError(f"the registry at {self._url} is away: {error}") from error
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise TransientError(f"the registry at {self._url} answered {answer.status_code}")
        return answer

    def _said(self, answer: httpx.Response, name: str, kind: type[Any]) -> Any:
        """Return what an answer says under a name.

        Raises:  TransientError if it says none: a proxy's page, a refused log-in. Nothing is known
                 of the record or the schema then, so neither is given up.
        """
        try:
            body = answer.json() if answer.is_success else None
        except (ValueError, RecursionError) as error:
            raise self._nonsense(answer, "JSON") from error
        said = body.get(name) if isinstance(body, dict) else None
        if not isinstance(said, kind) or isinstance(said, bool):
            raise self._nonsense(answer, f"JSON with {name}")
        return said

    def _nonsense(self, answer: httpx.Response, expected: str) -> TransientError:
        found = f"{answer.status_code} {answer.text[:ANSWER_CHARACTERS_MAX]!r}"
        return TransientError(f"the registry at {self._url}: expected {expected}, found {found}")
