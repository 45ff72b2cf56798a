"""Whatever is lost on the way, each record is in its log once, in the order it was given."""

from collections.abc import Iterator

import numpy as np
import pytest
from confluent_kafka import KafkaError
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.kafka import sender as sender_module
from headrace.kafka.batch_writing import rows_of
from headrace.kafka.fetched import Place
from headrace.kafka.lz4_kernel import SLACK_BYTES
from headrace.kafka.record_batches import read_part
from headrace.kafka.sender import Sender
from tests.sender_fakes import TOPIC, Cluster, Heard

WAIT_S = 30.0
PARTITIONS = 2
FAULTS = st.sampled_from(["none", "request lost", "answer lost", "moved", "busy"])
SENDS = st.lists(
    st.tuples(st.lists(st.integers(0, PARTITIONS - 1), min_size=1, max_size=4), st.booleans()),
    min_size=1,
    max_size=12,
)


class Keeping(Cluster):
    """A broker that keeps a log of each partition, and knows a batch by its sequence."""

    def __init__(self, faults: Iterator[str]) -> None:
        super().__init__()
        self.logs: dict[int, list[bytes | None]] = {n: [] for n in range(PARTITIONS)}
        self._faults = faults

    def hear(self, wait_ms: int) -> Heard:
        assert wait_ms > 0
        fault = next(self._faults, "none")
        if fault == "request lost":
            raise ConnectionError(fault)
        refused = {
            "moved": int(KafkaError.NOT_LEADER_FOR_PARTITION),
            "busy": int(KafkaError.NOT_ENOUGH_REPLICAS),
        }.get(fault)
        errors: dict[Place, int] = {}
        for number, (place, batch) in enumerate(self.requests[-1].items()):
            errors[place] = refused if refused and number == 0 else self._append(place[1], batch)
        if fault == "answer lost":
            raise ConnectionError(fault)
        return Heard(repr(errors).encode())

    def _append(self, partition: int, batch: bytes) -> int:
        data = np.frombuffer(batch + bytes(SLACK_BYTES), np.uint8)
        part, _ = read_part(data, len(batch), (TOPIC, partition), 0, ())
        assert part is not None
        sequence, log = int.from_bytes(batch[53:57], "big"), self.logs[partition]
        if sequence > len(log):
            return int(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
        if sequence < len(log):
            assert log[sequence:] == list(part.values)
            return int(KafkaError.DUPLICATE_SEQUENCE_NUMBER)
        log += list(part.values)
        return 0


@settings(max_examples=60)
@given(SENDS, st.lists(FAULTS, max_size=10))
def test_each_record_is_written_once_in_order(
    sends: list[tuple[list[int], bool]], faults: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sender_module, "_RECONNECT_S_MIN", 0.000_1)
        patch.setattr(sender_module, "IDLE_S", 0.5)
        broker = Keeping(iter(faults))
        broker.stand_in(patch)
        sender = Sender("here:1", "test", None, WAIT_S)
        given: dict[int, list[bytes | None]] = {n: [] for n in range(PARTITIONS)}
        number = 0
        for partitions, is_pushed in sends:
            values = [b"%d" % (number + row) for row in range(len(partitions))]
            number += len(partitions)
            sender.add(TOPIC, rows_of(values, values, 5), np.array(partitions))
            for value, partition in zip(values, partitions, strict=True):
                given[partition].append(value)
            if is_pushed:
                sender.push()

        assert sender.flush(WAIT_S) == 0
        assert sender.take_failure() is None
        assert broker.logs == given
