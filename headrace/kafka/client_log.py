"""What librdkafka says of itself, in our log."""

from time import monotonic
from typing import Any

import structlog
from confluent_kafka import KafkaError

log = structlog.get_logger(__name__)

AGAIN_S = 5.0
"""While a broker is away each of its clients says so hundreds of times a second."""

TEXTS_MAX = 64


class _Quiet:
    """librdkafka's own log, which repeats every refused connection many times a second."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        log.debug("librdkafka", level=level, text=text % arguments if arguments else text)


class Repeats:
    """Tells which texts were said a moment ago, and how often."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, int]] = {}

    def count(self, text: str, now_s: float) -> int | None:
        """Return how often a text was kept back since it was last said; None to keep it back."""
        said_s, kept_back = self._said.get(text, (now_s - AGAIN_S, 0))
        if now_s - said_s < AGAIN_S:
            self._said[text] = (said_s, kept_back + 1)
            return None
        if len(self._said) >= TEXTS_MAX:
            self._said.clear()
        self._said[text] = (now_s, 0)
        return kept_back


_repeats = Repeats()


def tell(event: str, text: str) -> None:
    """Log what went wrong, unless that was said a moment ago."""
    kept_back = _repeats.count(f"{event} {text}", monotonic())
    if kept_back is not None:
        log.warning(event, error=text, repeated=kept_back)


def _tell(error: KafkaError) -> None:
    tell("kafka_connection", error.str())


def logged() -> dict[str, Any]:
    """Return the options that make a client log as we do."""
    return {"error_cb": _tell, "logger": _Quiet()}
