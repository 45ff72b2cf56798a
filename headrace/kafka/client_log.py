"""What librdkafka says of itself, in our log."""

from typing import Any

import structlog
from confluent_kafka import KafkaError

log = structlog.get_logger(__name__)


class _Quiet:
    """librdkafka's own log, which repeats every refused connection many times a second."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        log.debug("librdkafka", level=level, text=text % arguments if arguments else text)


def _tell(error: KafkaError) -> None:
    log.warning("kafka_connection", error=error.str())


def logged() -> dict[str, Any]:
    """Return the options that make a client log as we do."""
    return {"error_cb": _tell, "logger": _Quiet()}
