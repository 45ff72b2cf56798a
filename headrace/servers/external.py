"""Real servers named by a setting: where they are, and whether they answer, without secrets."""

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import psycopg
import redis
import structlog
import tenacity
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

_PAUSE_S_MAX = 5.0

log = structlog.get_logger(__name__)


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


def await_reachable(
    name: str, connection: str, timeout_s: float, within_s: float, is_over: Callable[[], bool]
) -> None:
    """Ask a real server whether it is there, again and again for `within_s`; each try is told.

    Raises:  TransientError, which holds no secret, if it did not answer within `timeout_s` before
             that, or before it is over.
    """
    too_late = tenacity.stop_after_delay(within_s)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        stop=lambda state: is_over() or too_late(state),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=_PAUSE_S_MAX),
        before_sleep=_tell_away,
        reraise=True,
    )
    retrying(require_reachable, name, connection, timeout_s)


def _tell_away(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    log.warning("server_away", attempt=state.attempt_number, error=str(error))


def _without_secrets(text: str, connection: str) -> str:
    text = text.replace(connection, where(connection)).strip()
    password = connection.partition("://")[2].rpartition("@")[0].partition(":")[2]
    for secret in sorted({password, unquote(password)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
