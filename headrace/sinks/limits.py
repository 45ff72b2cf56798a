"""Every limit of the sinks in one place, with the reason beside it."""

CONNECT_TIMEOUT_S = 5
"""A server that is up answers in milliseconds; the engine retries, so why wait."""

STATEMENT_TIMEOUT_MS = 30_000
"""A batch is stored in well under a second; one that needs this long has met a stuck server."""

LOCK_TIMEOUT_MS = 10_000
"""The longest a batch waits for the other owner of its position before it gives up."""

IDLE_TRANSACTION_TIMEOUT_MS = 60_000
"""A sink that froze in the middle of a batch must not keep its positions locked for ever."""

MIGRATION_TIMEOUT_MS = 600_000
"""A migration may rewrite a table; ten minutes is what an operator can be asked to wait."""

TCP_KEEPALIVE_IDLE_S = 10
TCP_KEEPALIVE_INTERVAL_S = 5
TCP_KEEPALIVE_COUNT = 3
"""A peer that vanished without a word is noticed after 10 + 3 * 5 seconds."""

TCP_USER_TIMEOUT_MS = 30_000
"""The same for bytes that were sent and never acknowledged."""

RETENTION_INTERVAL_S = 3_600
"""How often expired data is dropped: chunks are a week long, so an hour is often enough."""

PARTITION_DAYS = 7
"""Time a partition of plain PostgreSQL spans; TimescaleDB's own default for a chunk, and few enough
for twelve years of replayed data (626)."""

PARTITIONS_NEW_MAX = 64
"""Partitions made for one batch: above it times are scattered, and rows go to the default one."""

TABLE_NAME_LENGTH_MAX = 50
"""PostgreSQL cuts names at 63 bytes; partitions and indexes add a suffix."""

DETAIL_LENGTH_MAX = 500
"""Characters kept of why a row was refused: a server's message, not its whole row."""

COPY_ROWS = 8_192
"""Rows encoded at a time: a millisecond's work, and enough that its fixed cost does not count."""

REDIS_TIMEOUT_S = 5.0
"""Redis answers a batch in milliseconds; a socket silent for this long is lost."""

REDIS_PUBLISH_CHUNK = 256
"""Records published by one script call: Redis serves nobody else meanwhile (about 0.5 ms)."""

REDIS_ATTEMPTS = 3
"""Tries of a part: once as thought, once with subscribers, once more if they came in between."""
