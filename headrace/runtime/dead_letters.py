"""Where records go that cannot be processed: as they were, with what was wrong in the headers."""

from collections.abc import Sequence

from headrace import limits
from headrace.batch import Headers
from headrace.kafka.producer import Producer
from headrace.runtime.chain import Dead

PREFIX = "headrace-"


def send_dead(producer: Producer, dead: Sequence[Dead]) -> None:
    """Queue these dead letters, each to the dead letter topic of the topic it came from."""
    for letter in dead:
        producer.send(
            f"{letter.topic}.dead", [letter.value], [letter.key], headers=[headers_of(letter)]
        )


def headers_of(letter: Dead) -> Headers:
    """Return what a dead letter says of itself, after the headers the record had."""
    said = {
        "cause": letter.cause,
        "detail": letter.detail[: limits.DETAIL_CHARACTERS_MAX],
        "step": letter.step,
        "topic": letter.topic,
        "partition": str(letter.partition),
        "offset": str(letter.offset),
    }
    return [*letter.headers, *((PREFIX + name, text.encode()) for name, text in said.items())]
