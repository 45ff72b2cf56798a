"""Reads whole topics, once: to count, to export, to find where somebody stopped."""

from collections.abc import Iterator, Mapping

from headrace.kafka.consumer import Reader
from headrace.kafka.fetched import RawPart
from headrace.kafka.offsets import OffsetQuery, places_of_topics


def read_all(bootstrap: str, topics: Mapping[str, int]) -> Iterator[RawPart]:
    """Yield what topics, given with their partition counts, hold now, in order within a partition.

    Transactions still open are waited for: the broker says that one is committed before its records
    can be read, and whoever committed must find them here.

    Raises:  TransientError if a partition gets no further for `REQUEST_TIMEOUT_S`.
    """
    places = places_of_topics(topics)
    logs = OffsetQuery(bootstrap)
    reader = Reader(bootstrap, "headrace-read-all")
    try:
        yield from reader.read_through(logs.starts(places), logs.ends(places))
    finally:
        reader.close()
        logs.close()
