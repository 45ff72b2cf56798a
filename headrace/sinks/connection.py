"""Opens a PostgreSQL connection on which nothing can wait for ever."""

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from headrace.errors import UsageError
from headrace.sinks.limits import (
    CONNECT_TIMEOUT_S,
    IDLE_TRANSACTION_TIMEOUT_MS,
    LOCK_TIMEOUT_MS,
    STATEMENT_TIMEOUT_MS,
    TCP_KEEPALIVE_COUNT,
    TCP_KEEPALIVE_IDLE_S,
    TCP_KEEPALIVE_INTERVAL_S,
    TCP_USER_TIMEOUT_MS,
)

_SETTINGS = {
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": LOCK_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": IDLE_TRANSACTION_TIMEOUT_MS,
    "timezone": "UTC",
    # A commit that was confirmed must survive: the log is read on from there.
    "synchronous_commit": "on",
}


def require_dsn(dsn: SecretStr, variable: str = "HEADRACE_POSTGRES") -> None:
    """Refuse a connection string that is none, without repeating it.

    Raises:  UsageError.
    """
    try:
        conninfo_to_dict(dsn.get_secret_value())
    except psycopg.ProgrammingError:
        # The driver's message quotes the string, password and all.
        raise UsageError(
            f"{variable}: expected postgresql://user:password@host:port/database, "
            "found something else (not shown: it may hold a password)"
        ) from None


def connect(dsn: SecretStr, application: str) -> psycopg.Connection:
    """Return a connection in autocommit with every timeout set.

    Raises:  psycopg.OperationalError if the server cannot be reached.
    """
    connection = psycopg.connect(
        dsn.get_secret_value(),
        autocommit=True,
        application_name=application[:63],
        connect_timeout=CONNECT_TIMEOUT_S,
        keepalives=1,
        keepalives_idle=TCP_KEEPALIVE_IDLE_S,
        keepalives_interval=TCP_KEEPALIVE_INTERVAL_S,
        keepalives_count=TCP_KEEPALIVE_COUNT,
        tcp_user_timeout=TCP_USER_TIMEOUT_MS,
    )
    try:
        for name, value in _SETTINGS.items():
            connection.execute(
                sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            )
    except psycopg.Error:
        connection.close()
        raise
    return connection
