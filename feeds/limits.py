"""Every limit of the feeds in one place, with the reason beside it."""

TEXT_CHARACTERS_MAX = 2**15
"""A feed's text: errors repeat it, and who has more files than it can name names their folder."""

READ_AHEAD_BYTES = 24 * 2**20
"""Decompressed text in memory over all sources of a recording; frames and columns made of it take
about three times that, whatever the size of the files."""

CHUNK_BYTES_MAX = 2**20
"""Decompressed text one source is read by: long enough that cost a chunk vanishes, in cache."""

CHUNK_BYTES_MIN = 2**16
"""The least a source is read by: below it the cost a chunk shows."""

SOURCES_MAX = 256
"""Sources read at once: each holds a file, a decompressor and `CHUNK_BYTES_MIN` of text."""

LINE_BYTES_MAX = 16 * 2**20
"""A longer line is dropped: the largest known frame (a full-depth snapshot) has under 2 MiB."""

HEAD_BYTES = 2**16
"""How much of a file is looked at to tell what it is."""

ZSTD_INPUT_BYTES = 512
"""Compressed bytes given to zstd at once: 4 of them can say 128 KiB, so that a hostile file blows
up to 16 MiB a piece, no more than a line may have."""

DECOMPRESS_THREADS = 1
"""Threads that decompress ahead of the parser, one chunk a source; a second gains nothing."""

FAULTS_MAX = 100
"""Faults of files told in words; every one is counted."""

TABLE_ROWS_MAX = 16_384
"""Rows of a table turned into frames at once."""

LIVE_SYMBOLS_A_PROCESS = 20
"""A message costs 25 to 70 µs in ccxt: 20 busy symbols keep one process below a full core."""

LIVE_PROCESSES_MAX = 16
"""More processes than this are a sign of symbols that nobody reads."""

LIVE_QUEUE_BATCHES = 64
"""Batches of frames waiting between a connection and the feed; a full queue holds the connection
back: nothing is dropped here."""

LIVE_NUMBER_CHARACTERS_MAX = 64
"""A price or size as text: a venue that sends a longer one is not believed."""

LIVE_BATCH_FRAMES_MAX = 256
"""Frames sent to the feed at once."""

LIVE_BATCH_WAIT_S = 0.01
"""How long a first frame waits for others before it is sent."""

LIVE_CONNECT_TIMEOUT_S = 8.0
"""How long a venue may take to send its first frame before the feed says it cannot be reached."""

LIVE_START_TIMEOUT_S = 60.0
"""How long a process may take to import ccxt: 1 s, 8 s where no bytecode is kept."""

LIVE_SILENCE_S = 30.0
"""Silence after which a connection is taken for dead and opened again."""

LIVE_BACKOFF_S_MIN = 0.5
"""First wait before a connection is opened again."""

LIVE_BACKOFF_S_MAX = 30.0
"""Longest wait before a connection is opened again: venues ban clients that come faster."""

LIVE_RECONNECTS_MAX = 20
"""Failed openings one after the other before a stream gives up; a frame received starts afresh."""

BOOK_LEVELS = 10
"""Levels of a live or simulated book in one frame."""

BOOK_INTERVAL_NS = 250_000_000
"""Least time between two book frames of one live or simulated instrument."""

SIM_INSTRUMENTS_DEFAULT = 4
SIM_INSTRUMENTS_MAX = 64
"""The simulator runs in the feed's own thread at some 10 µs an event."""

SIM_BLOCK_FRAMES = 2_048
"""Frames of the simulated market made at once."""

SIM_SIDE_ORDERS_MAX = 100
"""Orders resting on a side of a simulated book: a further one takes the place of any."""
