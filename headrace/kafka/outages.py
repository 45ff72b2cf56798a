"""Trying again while Kafka is away: bounded, jittered, and told."""

import structlog
from tenacity import (
    RetryCallState,
    retry,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from headrace import limits
from headrace.errors import TransientError

log = structlog.get_logger(__name__)

WAIT_S_MAX = 2.0


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    log.warning("kafka_away", attempt=state.attempt_number, error=str(error))


over_outages = retry(
    retry=retry_if_exception_type(TransientError),
    stop=stop_after_delay(limits.DELIVERY_TIMEOUT_MS / 1_000),
    wait=wait_random_exponential(multiplier=0.05, max=WAIT_S_MAX),
    before_sleep=_tell,
    reraise=True,
)
"""Decorates a call that may be repeated: a topic just made or a broker just back is unknown for a
moment; one that stays away longer than a record may take stops whoever asks."""
