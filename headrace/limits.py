"""Every limit of the engine in one place, with the reason beside it."""

PARTITIONS_DEFAULT = 8
"""Partitions of a topic: the most pods a step can be scaled to."""

BATCH_RECORDS_MAX = 8_192
"""Records in one batch: large enough that Python's cost a batch vanishes, small enough for caches
and for a commit every 100 ms."""
