"""What several tasks write to one topic, brought into the order of time."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa

from headrace.batch import Headers, IntArray
from headrace.byte_column import ByteColumn, column_of, concat, take
from headrace.runtime.emission import Emission


def in_order_of_time(emissions: Sequence[Emission]) -> Emission:
    """Return emissions to one topic, each with its times, as one.

    Records of one key that one task wrote stay in the order it wrote them. Records of the same time
    stand in the order of the emissions.
    """
    times = [_rising(one.keys, _stamps(one)) for one in emissions]
    stamps_ms = np.concatenate(times)
    if len(emissions) == 1 and _is_sorted(stamps_ms):
        return replace(emissions[0], timestamps_ms=stamps_ms)
    values = concat([one.values for one in emissions])
    keys = concat([one.keys for one in emissions])
    partitions = np.concatenate([one.partitions for one in emissions])
    headers = _headers(emissions)
    first = emissions[0]
    if _is_sorted(stamps_ms):
        return Emission(first.step, first.topic, values, keys, partitions, headers, stamps_ms)
    order = np.argsort(stamps_ms, kind="stable")
    return Emission(
        first.step,
        first.topic,
        take(values, order),
        take(keys, order),
        partitions[order],
        None if headers is None else [headers[row] for row in order.tolist()],
        stamps_ms[order],
    )


def _rising(keys: ByteColumn, stamps_ms: IntArray) -> IntArray:
    """Return times that never run backwards within a key."""
    if _is_sorted(stamps_ms):
        return stamps_ms
    codes = pa.array(column_of(keys)).dictionary_encode().indices.fill_null(-1).to_numpy()
    order = np.argsort(codes, kind="stable")
    found = stamps_ms.copy()
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        found[rows] = np.maximum.accumulate(stamps_ms[rows])
    return found


def _is_sorted(stamps_ms: IntArray) -> bool:
    return bool((stamps_ms[1:] >= stamps_ms[:-1]).all())


def _stamps(emission: Emission) -> IntArray:
    stamps_ms = emission.timestamps_ms
    return np.zeros(len(emission.values), np.int64) if stamps_ms is None else stamps_ms


def _headers(emissions: Sequence[Emission]) -> list[Headers] | None:
    if all(one.headers is None for one in emissions):
        return None
    none: Headers = ()
    return list(chain(*(one.headers or [none] * len(one.values) for one in emissions)))
