"""What a deployment may choose, read from `HEADRACE_*` variables, each with its bounds."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from headrace import limits
from headrace.errors import UsageError

ENV_PREFIX = "HEADRACE_"
_PORT_MAX = 65_535
_MAY_HOLD_SECRETS = frozenset({"postgres", "reference_postgres", "redis", "schema_registry"})

Port = Annotated[int, Field(ge=1, le=_PORT_MAX)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def default_cache() -> Path:
    """Return the folder of this person's machine-wide cache: the Kafka jars, shared by homes."""
    return platformdirs.user_cache_path("headrace")


class Settings(BaseSettings):
    """The settings of one process; each field is read from `HEADRACE_` + its name in capitals.

    A server that is None is embedded: run as a child process with its data under `home`.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # pydantic would print the value, and a value may be a secret
        validate_default=True,
    )

    home: Path = Path(".headrace")
    """Where embedded servers keep data, logs and their lock; made absolute when read."""
    cache: Path = Field(default_factory=default_cache)
    """Where what every home shares is kept: the jars of Kafka, and what a rehearsal left."""

    kafka: Text | None = None
    """Bootstrap servers, `host:port[,host:port…]`."""
    postgres: SecretStr | None = None
    """`postgresql://user:password@host:port/database`."""
    reference_postgres: SecretStr | None = None
    """Where `headrace reference load` reads tables, in the same form; None is `postgres`."""
    redis: SecretStr | None = None
    """`redis://…`, `rediss://…` or `unix://…`."""
    schema_registry: Text | None = Field(default=None, repr=False)  # may hold user:password@
    """URL of a Confluent-compatible registry; None keeps schemas in a compacted topic."""

    commit_interval_ms: int = Field(default=100, ge=1, le=60_000)
    """Milliseconds between commits: what is done twice after a crash, against broker load."""

    instance: Text | None = None
    """The name of this worker among those of its lanes, as a pod's: with it a restart within the
    session keeps its partitions. None is a worker that leaves its groups when it ends."""
    session_timeout_ms: int = Field(default=limits.SESSION_TIMEOUT_MS, ge=1_000, le=1_800_000)
    """Milliseconds a worker may be silent before its partitions go to others."""
    standby: bool = False
    """Whether this worker keeps the state of partitions that others own warm on its disk."""

    sabotage: Literal["transaction", "fencing", "tracker"] | None = None
    """A part of exactly-once to leave out, to see that `headrace faults` notices; never else."""

    web_port: Port = 6066
    """Where a worker serves its pages, unless `--web-port` says otherwise."""
    web_host: str = "127.0.0.1"
    """The address it serves them at; a pod whose probes come from outside needs `0.0.0.0`."""

    kafka_port: Port | None = None
    postgres_port: Port | None = None
    redis_port: Port | None = None
    """The loopback port of an embedded server; None takes a free one and remembers it."""
    kafka_heap_mb: int = Field(default=512, ge=256, le=65_536)
    """MiB of Java heap for the embedded Kafka; below 256 its log cleaner does not fit."""
    redis_memory_mb: int = Field(default=256, ge=16, le=65_536)
    """MiB the embedded Redis may hold before it drops what was least recently used."""
    startup_timeout_s: float = Field(default=60, gt=0, le=600)
    """Seconds an embedded server may take to answer, log recovery after a crash included."""
    resolve_timeout_s: float = Field(default=300, gt=0, le=3_600)
    """Seconds the first download of Kafka's jars may take."""
    connect_timeout_s: float = Field(default=5, gt=0, le=60)
    """Seconds a real server named by a setting may take to answer the first time."""

    @field_validator("home", "cache")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        try:
            return path.expanduser().absolute()
        except RuntimeError as error:  # no such person, or one without a home
            raise ValueError(f"expected a path; {error}") from error

    @field_validator("kafka")
    @classmethod
    def _bootstrap(cls, text: str | None) -> str | None:
        for server in (text or "").split(",") if text else ():
            host, _, port = server.strip().rpartition(":")
            if not host or not _is_port(port):
                raise ValueError("expected host:port[,host:port…]")
        return text

    @field_validator("postgres", "reference_postgres")
    @classmethod
    def _dsn(cls, secret: SecretStr | None) -> SecretStr | None:
        return _require_scheme(secret, ("postgresql://", "postgres://"))

    @field_validator("redis")
    @classmethod
    def _redis_url(cls, secret: SecretStr | None) -> SecretStr | None:
        return _require_scheme(secret, ("redis://", "rediss://", "unix://"))

    @field_validator("schema_registry")
    @classmethod
    def _registry_url(cls, url: str | None) -> str | None:
        if url is not None and not (url.startswith(("http://", "https://")) and _is_url(url)):
            raise ValueError("expected a URL that begins with http:// or https:// and names a host")
        return url

    @classmethod
    def load(cls, **chosen: Any) -> Self:
        """Read the environment; what is `chosen` here wins over it.

        Raises:  UsageError naming each bad variable, what was expected and, unless the variable
                 may hold a secret, what was found.
        """
        try:
            return cls(**chosen)
        except ValidationError as error:
            raise UsageError(_explain(error)) from None  # the cause would print the values again


def _is_url(text: str) -> bool:
    """Tell whether a client can be made for it; a whole path and query are its own affair."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) and text.isascii() and text.isprintable() and " " not in text


def _is_port(text: str) -> bool:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(_PORT_MAX))
    return digits and 1 <= int(text) <= _PORT_MAX


def _require_scheme(secret: SecretStr | None, schemes: tuple[str, ...]) -> SecretStr | None:
    if secret is not None and not secret.get_secret_value().startswith(schemes):
        raise ValueError(f"expected a URL that begins with {' or '.join(schemes)}")
    return secret


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        name = str(problem["loc"][0]) if problem["loc"] else "settings"
        expected = problem["msg"].removeprefix("Value error, ")
        if name not in Settings.model_fields:
            known = ", ".join(sorted(Settings.model_fields))
            lines.append(f"{name}: no such setting; there are {known}")
        elif name in _MAY_HOLD_SECRETS:
            lines.append(f"{ENV_PREFIX}{name.upper()}: {expected}; the value found is not shown")
        else:
            lines.append(f"{ENV_PREFIX}{name.upper()}: {expected}; found {problem['input']!r}")
    return "\n".join(lines)
