"""Every limit of the engine in one place, with the reason beside it."""

PARTITIONS_DEFAULT = 8
"""Partitions of a topic: the most pods a step can be scaled to."""

BATCH_RECORDS_MAX = 8_192
"""Records in one batch: large enough that Python's cost a batch vanishes, small enough for caches
and for a commit every 100 ms."""

CHANNEL_BATCHES_MAX = 4
"""Batches waiting between the reader and an agent: enough to hide a poll, few enough that a
rebalance drains them at once."""

PRODUCER_RECORDS_MAX = 400_000
"""Records librdkafka holds unsent; a full queue stops the agent that fills it."""

PRODUCER_BYTES_MAX = 128 * 2**20
"""Bytes librdkafka holds unsent."""

CONSUMER_BYTES_MAX = 32 * 2**20
"""Bytes librdkafka fetches ahead: a second or two at full rate."""

DELIVERY_TIMEOUT_MS = 120_000
"""How long a record may take to be acknowledged: a broker restart fits in, an outage does not."""

FLUSH_TIMEOUT_S = 130.0
"""Longer than DELIVERY_TIMEOUT_MS, so that a lost record is reported as such."""

REQUEST_TIMEOUT_S = 15.0
"""One request to the broker for metadata, offsets or topics."""

DRAIN_TIMEOUT_S = 20.0
"""A rebalance or a stop waits so long for batches in flight."""

MERGE_RECORDS_MAX = 131_072
"""Records a merge holds back while it waits for the other input; beyond it reading pauses."""

MERGE_WAIT_S_MAX = 20.0
"""How long a merge waits for a record that may have been lost before it goes on without it."""

DETAIL_CHARACTERS_MAX = 2_000
"""Length of a cause's text in the header of a dead letter."""

DEAD_LETTERS_MAX_A_BATCH = 8_192
"""Dead letters of one batch: no more than its records."""

FEED_BACKLOG_RECORDS_MAX = 100_000
"""Records the slowest step may lie behind before a feed at full speed pauses: a few seconds' work,
so that latency, and what steps hold while they wait for one another, stay bounded."""

PACE_WAIT_S_MAX = 3_600.0
"""Longest wait of a paced feed for its next frame: a line whose time is damaged may lie centuries
ahead. A longer one is cut, and what follows keeps its distance to it."""

PACE_SLICE_NS = 50_000_000
"""Most market time in one block of a paced feed: what a person sees as continuous."""
