"""What starter does with a batch."""

from agents.starter import STARTER_BY_KEY, starter
from headrace.testing import part_of

from headrace import Batch


def test_every_record_is_counted_by_its_key() -> None:
    batch = Batch.of(part_of("input", [{"name": "a"}, {"name": "b"}, {"name": "a"}]))

    output = starter(batch, STARTER_BY_KEY.open(), "name", "output")

    assert output.records["output"].column("count").to_pylist() == [1, 1, 2]
