"""Schema ids: from a Confluent-compatible registry when one is configured, else from Kafka."""

from functools import cached_property
from typing import Protocol

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from headrace.avro.schema import AvroSchema, parse_schema
from headrace.errors import DecodeError, SchemaError, TransientError

ATTEMPTS_MAX = 5
REQUEST_TIMEOUT_S = 5.0


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
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            raise SchemaError(
                f"subject {subject}: the registry at {self._url} refused schema {schema.name}: "
                f"{answer.text[:300]}"
            )
        schema_id = int(answer.json()["id"])
        self._schemas[schema_id] = schema
        return schema_id

    def schema(self, schema_id: int) -> AvroSchema:
        """Return the schema of an id. Raises DecodeError if there is none."""
        found = self._schemas.get(schema_id)
        if found is None:
            answer = self._ask("GET", f"/schemas/ids/{schema_id}", None)
            if answer.status_code >= httpx.codes.BAD_REQUEST:
                raise DecodeError(f"schema id {schema_id} is not in the registry at {self._url}")
            found = parse_schema(answer.json()["schema"], f"schema id {schema_id}")
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
        except httpx.TransportError as error:
            raise TransientError(f"the registry at {self._url} is away: {error}") from error
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise TransientError(f"the registry at {self._url} answered {answer.status_code}")
        return answer
