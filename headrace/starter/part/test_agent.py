"""What starter does with a batch."""

import numpy as np
import pyarrow as pa
from agents.starter import STARTER_BY_KEY, starter

from headrace import Batch, Part


def test_every_record_is_counted_by_its_key() -> None:
    records = pa.record_batch({"name": ["a", "b", "a"]})
    none, empty = np.zeros(3, np.int64), [b""] * 3
    batch = Batch.of(Part("input", 0, records, empty, empty, none, none))

    output = starter(batch, STARTER_BY_KEY.open(), "name", "output")

    assert output.records["output"].column("count").to_pylist() == [1, 1, 2]
