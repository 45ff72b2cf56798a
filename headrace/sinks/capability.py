"""Asks a PostgreSQL server what it can do with tables of time, so that the most of it is used."""

from enum import StrEnum

import psycopg
import structlog

from headrace.errors import UsageError

log = structlog.get_logger(__name__)


class Rung(StrEnum):
    """A rung of the ladder; the SQL files of one carry its name."""

    PLAIN = "plain"
    """PostgreSQL alone: declarative partitions."""
    APACHE = "apache"
    """TimescaleDB's Apache edition: hypertables, drop_chunks."""
    COMMUNITY = "community"
    """TimescaleDB's community licence: continuous aggregates, compression and policies too."""


_HEIGHTS = {Rung.PLAIN: 0, Rung.APACHE: 1, Rung.COMMUNITY: 2}


def detect_rung(connection: psycopg.Connection) -> Rung:
    """Return the highest rung the server offers, turning TimescaleDB on where it is installed."""
    available = connection.execute(
        "SELECT installed_version IS NOT NULL FROM pg_available_extensions "
        "WHERE name = 'timescaledb'"
    ).fetchone()
    if available is None:
        return Rung.PLAIN
    if not available[0]:
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        except psycopg.OperationalError:
            raise
        except psycopg.DatabaseError as error:
            # Not preloaded, or not ours to create: an operator's choice, and plain tables work.
            log.warning("timescaledb is installed but cannot be turned on", reason=str(error))
            return Rung.PLAIN
    licence = connection.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    return Rung.COMMUNITY if licence == ("timescale",) else Rung.APACHE


def settle_rung(detected: Rung, recorded: Rung | None) -> Rung:
    """Return the rung to use: the one the database was made on, if it was made before.

    Raises:  UsageError if the server now offers less than the tables in it need.
    """
    if recorded is None or recorded == detected:
        return detected
    if _HEIGHTS[detected] < _HEIGHTS[recorded]:
        raise UsageError(
            f"the database was made on a server with capability {recorded.value!r}, this one "
            f"offers {detected.value!r}; use such a server again, or an empty database"
        )
    log.info("server can do more than its tables use", server=detected.value, used=recorded.value)
    return recorded
