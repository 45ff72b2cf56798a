"""Serves the schemas of the log over the registry API that Kafka's tools speak."""

import socket
from threading import Thread
from types import TracebackType
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from headrace.avro.schema import parse_schema
from headrace.errors import DecodeError, SchemaError
from headrace.kafka.schema_log import SchemaLog

STOP_TIMEOUT_S = 5.0


class Registration(BaseModel):
    """What a client sends to register a schema."""

    schema_: str

    model_config = {"alias_generator": lambda name: name.rstrip("_"), "populate_by_name": True}


def registry_app(schemas: SchemaLog) -> FastAPI:
    """Return the part of the registry's API that serializers, deserializers and kcat use."""
    app = FastAPI(title="headrace schema registry")

    def entry(subject: str, version: int) -> dict[str, Any]:
        schema_id = schemas.versions[subject][version - 1]
        text = schemas.schemas[schema_id].text
        return {"subject": subject, "version": version, "id": schema_id, "schema": text}

    @app.exception_handler(HTTPException)
    def refused(_: object, error: HTTPException) -> JSONResponse:
        body = {"error_code": error.status_code * 100 + 3, "message": error.detail}
        return JSONResponse(body, error.status_code)

    @app.get("/subjects")
    def subjects() -> list[str]:
        schemas.refresh()
        return sorted(schemas.versions)

    @app.get("/schemas/ids/{schema_id}")
    def by_id(schema_id: int) -> dict[str, str]:
        try:
            return {"schema": schemas.schema(schema_id).text}
        except DecodeError as error:
            raise HTTPException(404, str(error)) from error

    @app.get("/subjects/{subject}/versions")
    def versions(subject: str) -> list[int]:
        _require(subject)
        return list(range(1, len(schemas.versions[subject]) + 1))

    @app.get("/subjects/{subject}/versions/{version}")
    def by_version(subject: str, version: str) -> dict[str, Any]:
        _require(subject)
        count = len(schemas.versions[subject])
        number = count if version == "latest" else int(version) if version.isdecimal() else 0
        if not 1 <= number <= count:
            raise HTTPException(404, f"subject {subject} has the versions 1 to {count}")
        return entry(subject, number)

    @app.post("/subjects/{subject}/versions")
    def register(subject: str, body: Registration) -> dict[str, int]:
        return {"id": schemas.register(subject, _parse(body))}

    @app.post("/subjects/{subject}")
    def look_up(subject: str, body: Registration) -> dict[str, Any]:
        _require(subject)
        wanted = _parse(body).text
        for number, schema_id in enumerate(schemas.versions[subject], start=1):
            if schemas.schemas[schema_id].text == wanted:
                return entry(subject, number)
        raise HTTPException(404, f"subject {subject} has no such schema")

    def _require(subject: str) -> None:
        schemas.refresh()
        if subject not in schemas.versions:
            raise HTTPException(404, f"subject {subject} not found")

    return app


def _parse(body: Registration) -> Any:
    try:
        return parse_schema(body.schema_, "request")
    except SchemaError as error:
        raise HTTPException(422, str(error)) from error


class RegistryServer:
    """The registry API on a port of the loopback, in a thread, while the context is open."""

    def __init__(self, bootstrap: str, port: int = 0) -> None:
        self._schemas = SchemaLog(bootstrap)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        settings = uvicorn.Config(registry_app(self._schemas), log_level="warning", lifespan="off")
        self._server = uvicorn.Server(settings)
        self._thread = Thread(
            target=self._server.run, args=([self._socket],), name="schema-registry", daemon=True
        )

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
        self._socket.close()
        self._schemas.close()
