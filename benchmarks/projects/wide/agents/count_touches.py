"""Counts how often each key was touched, and keeps a page of bytes a key beside the count."""

from hashlib import shake_256

import msgspec
import numpy as np
import pyarrow as pa

from headrace import Batch, ObjectTable, Output, StructCodec
from headrace.state.tables import ObjectState

PAGE_BYTES = 4_096


class Page(msgspec.Struct, array_like=True):
    """What is known of a key; `content` does not compress."""

    touches: int
    content: bytes


def new_page(key: str) -> Page:
    """Return the page of a key that was never touched, the same in every process."""
    return Page(0, shake_256(key.encode()).digest(PAGE_BYTES))


PAGE_BY_KEY = ObjectTable("count_touches.page_by_key.v1", StructCodec(Page, new_page))


def count_touches(batch: Batch, state: ObjectState[Page]) -> Output:
    """Return the count after each touch, with the time the touch was sent at."""
    keys = batch.records.column("key").to_pylist()
    touches = []
    for key in keys:
        page = state.edit(key)
        page.touches += 1
        touches.append(page.touches)
    records = pa.record_batch(
        {
            "key": keys,
            "sent_time_ns": batch.records.column("sent_time_ns"),
            "touches": np.array(touches, np.int64),
        }
    )
    return Output({"wide.count.v1": records})
