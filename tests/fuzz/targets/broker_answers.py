"""What a broker answers: who leads, what there is, what is in the log, who coordinates."""

from collections.abc import Sequence

from headrace.kafka import fetch_wire
from tests.broker_answers import READERS
from tests.fuzz.mutation import BYTE_TOKEN, ODD_BYTES, Mutator
from tests.fuzz.target import Target, require

ODD_NUMBERS = tuple(
    number.to_bytes(4, "big", signed=True) for number in (-(2**31), -2, -1, 0, 1, 255, 2**31 - 1)
)


def _read(records: Sequence[bytes]) -> None:
    """Read each as what its first byte says."""
    for record in records:
        if not record:
            continue
        answer = memoryview(record)[1:]
        read, _ = READERS[record[0] % len(READERS)]
        try:
            found = read(answer)
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
    return [bytes([number]) + answer for number, (_, answer) in enumerate(READERS)]


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
