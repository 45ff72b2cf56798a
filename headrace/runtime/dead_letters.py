"""Where records go that cannot be processed: as they were, with what was wrong in the headers."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from headrace import limits
from headrace.batch import Headers
from headrace.kafka.producer import Producer
from headrace.runtime.chain import Dead

PREFIX = "headrace-"

AS_NAMED: Mapping[str, str] = MappingProxyType({})


def send_dead(
    producer: Producer, dead: Sequence[Dead], topics: Mapping[str, str] = AS_NAMED
) -> None:
    """Queue these dead letters, each to the dead letter topic of the topic it came from.

    That is `TOPIC.dead`, unless `topics` has another for it.
    """
    for letter in dead:
        topic = topics.get(letter.topic, f"{letter.topic}.dead")
        producer.send(topic, [letter.value], [letter.key], headers=[headers_of(letter)])


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
