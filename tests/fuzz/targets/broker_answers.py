"""What a broker answers: who leads, what there is, what is in the log, who coordinates."""

from collections.abc import Callable, Sequence
from typing import Any

from headrace.kafka import fetch_wire, produce_wire
from tests import broker_answers as good
from tests.fuzz.mutation import BYTE_TOKEN, ODD_BYTES, Mutator
from tests.fuzz.target import Target, require

ODD_NUMBERS = tuple(
    number.to_bytes(4, "big", signed=True) for number in (-(2**31), -2, -1, 0, 1, 255, 2**31 - 1)
)


def _fetched(answer: memoryview) -> list[fetch_wire.Answer]:
    return list(fetch_wire.answers_in(answer, fetch_wire.Session()))


_READERS: Sequence[Callable[[memoryview], Any]] = (
    *(fetch_wire.leaders_in, _fetched, produce_wire.errors_of_produce, produce_wire.producer_in),
    *(produce_wire.coordinator_in, produce_wire.errors_of_offsets, produce_wire.features_in),
)


def _read(records: Sequence[bytes]) -> None:
    """Read each as what its first byte says."""
    for record in records:
        if not record:
            continue
        answer = memoryview(record)[1:]
        try:
            found = _READERS[record[0] % len(_READERS)](answer)
        except ConnectionError as error:
            require(len(str(error)) < 1_000, "an error without a limit")
            continue
        if isinstance(found, fetch_wire.Leaders):
            leading = set(found.leader_by_place.values())
            require(leading <= found.brokers.keys(), "a leader that is no broker")
        elif isinstance(found, list):
            for one in found:
                require(0 <= one.start <= one.start + one.size <= len(answer), "records outside")


def _seeds() -> Sequence[bytes]:
    answers = (
        *(good.leaders(), good.fetched(), good.produced(), good.producer(), good.coordinator()),
        *(good.offsets(), good.versions({"metadata.version": 29, "transaction.version": 2})),
    )
    return [bytes([number]) + answer for number, answer in enumerate(answers)]


TARGETS = [
    Target(
        name="broker_answers",
        an_input="an answer",
        open=lambda: _read,
        seeds=_seeds,
        mutator=Mutator(BYTE_TOKEN, (*ODD_BYTES, *ODD_NUMBERS), ODD_BYTES),
        share=1_000,
    )
]
