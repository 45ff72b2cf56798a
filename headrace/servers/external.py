"""Real servers named by a setting: where they are, and whether they answer, without secrets."""

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import psycopg
import redis
from confluent_kafka import KafkaException

from headrace.errors import TransientError
from headrace.servers.kafka import brokers
from headrace.servers.postgres import select_one
from headrace.servers.redis import ping

_PROBES: dict[str, Callable[[str, float], object]] = {
    "kafka": brokers,
    "postgres": select_one,
    "redis": ping,
}


def where(connection: str) -> str:
    """Return the address in a connection string, without user, password and options."""
    if "://" not in connection:
        return connection
    parts = urlsplit(connection)
    return parts.netloc.rpartition("@")[2] + parts.path


def require_reachable(name: str, connection: str, timeout_s: float) -> None:
    """Ask a real server whether it is there.

    Raises:  TransientError, which holds no secret, if it does not answer within `timeout_s`.
    """
    try:
        _PROBES[name](connection, timeout_s)
    except (KafkaException, psycopg.Error, redis.RedisError, ValueError, OSError) as error:
        raise TransientError(
            f"HEADRACE_{name.upper()}: expected a server at {where(connection)} that answers "
            f"within {timeout_s:g} s, found {_without_secrets(str(error), connection)}"
        ) from None  # the cause's text may hold the password


def _without_secrets(text: str, connection: str) -> str:
    text = text.replace(connection, where(connection)).strip()
    password = connection.partition("://")[2].rpartition("@")[0].partition(":")[2]
    for secret in sorted({password, unquote(password)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
