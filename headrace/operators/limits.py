"""Every limit of the operators in one place, with the reason beside it."""

KEYS_MAX = 65_536
"""Keys an operator holds something of in one partition: the instruments of every venue, ten times;
a flood of made-up keys fills no worker's memory."""

WINDOWS_A_KEY_MAX = 4_096
"""Windows of one key that can be open at once: an hour of seconds. More is a mistake in a size."""

WINDOWS_A_RECORD_MAX = 1_024
"""Windows one record can be in: what a batch of hopping windows multiplies its records by."""

BUCKETS_MAX = 8_192
"""Counters of one quantile sketch: an error of 0.4 % over 63 powers of two."""

COUNTERS_A_KEY_MAX = 262_144
"""Counters of the open windows of one key: 2 MB of memory, 4 MB of a record if all are used."""

COUNTERS_AT_ONCE = 4_194_304
"""Counters of sliding windows that are worked out together: 32 MB."""

ROWS_A_WINDOW_MAX = 16_384
"""Rows of one sliding window: a minute at 270 a second; floats are added up row by row."""

SLIDING_ROWS_MAX = 131_072
"""Rows sliding windows hold in one partition, over all keys: 20 s at 6,500 a second."""

SESSION_LENGTH_NS_MAX = 86_400_000_000_000
"""Longest session unless its declaration says less: a day; one that never pauses is cut there."""

LEFT_ROWS_MAX = 65_536
"""Left rows a join holds that the right side may still find: ten seconds at 6,500 a second."""

RIGHT_ROWS_MAX = 65_536
"""Right rows a join remembers in one partition, over all its keys."""

PAIRS_A_ROW_MAX = 1_024
"""Pairs one row of an interval join can make: what a batch of rows is multiplied by."""

PAGE_ROWS = 1_024
"""Rows on a page of what an operator holds: a commit writes those pages again that changed."""

PAGE_KEYS = 128
"""Keys on a page of latest rows: a commit writes so many rows for one that changed."""

IDS_MAX = 1_048_576
"""Ids remembered to tell repeats: 8 bytes of hash and 8 of time each."""

LOOKUP_ROWS_MAX = 65_536
"""Rows of a reference topic that each partition's task holds: the instruments of every venue, ten
times; in eight partitions of 100 bytes a row some 50 MB. No load writes more
(`headrace.limits.REFERENCE_ROWS_MAX`)."""

KEY_SHOWN_CHARACTERS = 100
"""Of a key that was not found, in the text of its dead letter."""

TIME_NS_LIMIT = 1 << 62
"""Event times are from 0 to below this (the year 2116), so that sums of two of them fit 64 bits."""
