"""Every limit of the engine in one place, with the reason beside it."""

PARTITIONS_DEFAULT = 8
"""Partitions of a topic: the most pods a step can be scaled to."""

BATCH_RECORDS_MAX = 8_192
"""Records in one batch: large enough that Python's cost a batch vanishes, small enough for caches
and for a commit every 100 ms."""

BEHIND_RECORDS_MAX = 131_072
BEHIND_BYTES_MAX = 16 * 2**20
BEHIND_S_MAX = 0.5
"""Records in one batch of a lane that was behind for several in a row, their bytes, and how long
they may take, by what the last batch took: partitions and topics share it, and most of what a step
costs is by batch. Agents that are slow by record gain nothing, and are not given more: a rebalance
waits for the batch at hand, and an operator's word for those before it."""

CHANNEL_BATCHES_MAX = 4
"""Batches waiting between the reader and an agent: enough to hide a poll, few enough that a
rebalance drains them at once."""

RECORD_BYTES_MAX = 18 * 2**20
"""One record with its headers: the longest frame (`feeds/limits.py`) and, on the dead letter, what
was wrong with it. Kafka's own bound is 1 MB."""

PRODUCER_RECORDS_MAX = 400_000
"""Records a producer holds unsent; a full queue stops the agent that fills it."""

PRODUCER_BYTES_MAX = 128 * 2**20
"""Bytes a producer holds unsent."""

PRODUCE_BYTES_MAX = 8 * 2**20
"""Of the records in one request, as they lie in memory, but for the last partition's batch."""

CONSUMER_BYTES_MAX = 32 * 2**20
"""Bytes a reader fetches ahead: a second or two at full rate."""

FETCH_GATHER_S_MAX = 0.25
"""How long records gather at the end of a broker's logs while those of others are worked off."""

FETCH_PARTITION_BYTES_MAX = 256 * 2**10
"""Packed bytes of one partition in one answer: some 10,000 records, so that inputs which are merged
come in turn."""

FETCH_BYTES_MAX = 4 * 2**20
"""Packed bytes of one answer: it is unpacked before any of it can be taken."""

FETCH_WAIT_MS = 50
"""How long the broker may hold an answer back for the first record; a partition that is read anew
waits for it."""

ANSWER_BYTES_MAX = 64 * 2**20
"""An answer that says it is larger is none: FETCH_BYTES_MAX, and one batch beyond it."""

CONNECT_S = 5.0
"""How long a broker may take to accept a connection."""

RECONNECT_S_MAX = 2.0
"""The longest pause between two tries to reach a broker; the first are after 50 ms."""

SERVERS_WAIT_S_MAX = 60.0
"""How long a worker or a feed that starts waits for servers that are away: one that ended at the
first refusal would pay for a whole start again, beside all others that do."""

CLOSE_S = 2.0
"""How long whoever closes a reader waits for its threads, which may wait for an answer."""

DELIVERY_TIMEOUT_MS = 120_000
"""How long a record may take to be acknowledged: a broker restart fits in, an outage does not."""

FLUSH_TIMEOUT_S = 130.0
"""Longer than DELIVERY_TIMEOUT_MS, so that a lost record is reported as such."""

TRANSACTION_TIMEOUT_MS = 60_000
"""How long a transaction may stay open: a broker's restart fits in; while one is open, nobody reads
what lies behind it."""

SESSION_TIMEOUT_MS = 6_000
"""How long a worker may be silent before its partitions go to others: a stop of the whole machine
for a few seconds is forgiven, a killed worker is replaced soon."""

HEARTBEATS_A_SESSION = 6
"""How often a worker says that it lives within a session; also how soon it hears of a rebalance."""

JOIN_S = 5.0
"""A member that was given nothing for so long is one too many: ready, and waiting."""

REQUEST_TIMEOUT_S = 15.0
"""One request to the broker for metadata, offsets or topics."""

OFFSETS_AT_ONCE_S = 2.0
"""A question for offsets by a thread that others wait for."""

POLL_S = 0.05
"""How long a read waits for the first record: how late an idle lane notices a stop."""

POLL_S_MIN = 0.001
"""The least of it, while a commit is due soon: the clock of a wait is no finer."""

BEHIND_SHARE = 0.25
"""A read that brings this share of the most it may bring was behind: the next one need not wait
until what it brought is processed. Nearer the end of the log waiting gathers larger batches, and
records pass sooner than in a queue of small ones."""

DRAFT_RECORDS_MAX = 4_096
"""Records of several partitions that become bytes together: of so many or more it takes no longer
for each partition by itself, and the first could be on their way."""

COMMIT_GAP_S = 0.02
"""Least time between commits of a lane that is not behind: each costs the broker some
milliseconds."""

GROUP_S = 0.05
"""How old what a member knows of its group may be: half of what lies between two commits."""

IDLE_COMMIT_S = 1.0
"""How often offsets are committed that moved past markers, not records."""

RELEASE_TIMEOUT_S = 60.0
"""How long the reading thread waits for the processing one in a rebalance: a batch takes less than
one second, a commit over a broker's restart some more; beyond it the worker stops."""

DRAIN_TIMEOUT_S = 20.0
"""How long a stop waits for the batch in flight and its commit."""

STUCK_WARN_S = 30.0
"""After so long a batch is named in the log as stuck, with where its thread stands."""

STUCK_S_MAX = 360.0
"""After so long it will not end: longer than any wait for a dependency that is away. The worker
ends at once, and its supervisor starts it anew."""

MERGE_RECORDS_MAX = 131_072
"""Records a merge holds back while it waits for the other input; beyond it reading pauses."""

MERGE_WAIT_S_MAX = 20.0
"""How long a merge waits for a record before it is found out whether it can still come."""

REPLAY_STILL_S_MAX = 120.0
"""A replay that gets no further for so long will not end: compiling kernels, a broker's restart and
a merge that waits are all shorter."""

REPLAY_HELD_S = 5.0
"""How long nothing may move before what merges hold back, at the end of a replay, stays so."""

DETAIL_CHARACTERS_MAX = 2_000
"""Length of a cause's text in the header of a dead letter."""

FEED_BACKLOG_RECORDS_MAX = 100_000
"""Records the slowest step may lie behind before a feed at full speed pauses: a few seconds' work,
so that latency, and what steps hold while they wait for one another, stay bounded."""

PACE_WAIT_S_MAX = 3_600.0
"""Longest wait of a paced feed for its next frame: a line whose time is damaged may lie centuries
ahead. A longer one is cut, and what follows keeps its distance to it."""

PACE_SLICE_NS = 50_000_000
"""Most market time in one block of a paced feed: what a person sees as continuous."""

CONTROL_TIMEOUT_S = 30.0
"""How long an operator's word may take to be acknowledged: longer than a broker's restart, and
short enough that a person who stops a graph is told soon if it failed."""

LOCAL_RUN_AHEAD_MS = 100
"""How far a chain of a loop runs ahead of the others, in a run without Kafka, while they have
nothing to do: market data passes in batches, and no answer is later than after a live commit."""

LOCAL_PENDING_RECORDS_MAX = 1_000_000
"""Records a run without Kafka keeps waiting for their time; beyond it they are processed at once,
as where one damaged clock has moved the time of all that follows ahead."""

LOCAL_CALLS_MAX_AT_ONCE = 10_000
"""Calls of chains within one millisecond of a run without Kafka; a loop that makes more never comes
to rest."""

LOCAL_KEPT_RECORDS_MAX = 5_000_000
"""Records of a topic that are kept until somebody reads them: some GB, as a test has room for."""

LOCAL_DEAD_KEPT_MAX = 10_000
"""Dead letters of a topic that are kept with their bytes; all are counted."""

TABLE_RECORDS_MAX = 20_000_000
"""Records that a command reads from Kafka to compare them: some GB."""

BACKTEST_ORDERS_MAX = 1_000_000
"""Orders that a backtest lists; further ones are counted."""

BACKTEST_SAMPLE = 8_192
"""Values that stand for a field's distribution: quantiles to a hundredth."""

BACKTEST_CURVE_POINTS = 4_096
"""Points of a curve that is kept: more than a page is wide."""

BACKTEST_QUOTES_MAX = 4_000_000
"""Quotes of a stream that are kept until the fills at their time are known: 64 MB."""

REFERENCE_ROWS_MAX = 65_536
"""Rows of a reference topic: each is written to every partition and held by every task
(docs/adr/0013-a-database-is-read-as-a-topic.md)."""

ASIDE_WAIT_S_MAX = 120.0
"""How long a task that starts may read its reference topics, and what operators said, before the
stream behind them: as many rows as there may be, and their changes since the log was last
compacted, take seconds."""

REFERENCE_BYTES_MAX = 64 * 2**20
"""Bytes of all rows of a reference topic: times its partitions it is what one load writes."""

REFERENCE_FAILURES_MAX = 10
"""Loads that may fail in a row before a loader stops, for its supervisor to start it anew."""

REFERENCE_EVERY_S_MAX = 86_400.0
"""Longest pause between two loads: a day."""
