"""What became of a frame: every frame ends in exactly one of these counts.

| count | the frame |
|---|---|
| `frame_trade` | holds a trade (or several) |
| `frame_quote` | holds a best bid and ask |
| `frame_depth` | changes an order book, or would if the book were valid |
| `frame_snapshot` | holds a whole order book |
| `frame_control` | is of the connection: acknowledgement, heartbeat, status, error |
| `frame_ignored_type` | is of a known kind that nothing uses: candles, statistics, a channel |
|   | that repeats the book or the trades of another |
| `frame_trade_zero_size` | holds nothing but trades of size 0, artefacts of the venue |
| `frame_trade_repeated` | holds trades from before the subscription that were all seen already |
| `frame_depth_stale` | is older than the order book it would change |
| `frame_duplicate` | was seen before: its sequence is not above its source's last one |
| `frame_dead_not_json` | is not JSON, or nests too deep to be read |
| `frame_dead_unknown_frame` | is JSON of no kind that its venue is known to send |
| `frame_dead_malformed` | is of a known kind, but lacks a field or holds an impossible one |
| `frame_dead_bad_decimal` | has a number that is none, or does not fit the scale exactly |
| `frame_dead_unknown_instrument` | names an instrument of no known market, or one too many |
| `frame_dead_unknown_venue` | is written in no dialect that is known |
| `frame_dead_snapshot_without_instrument` | is an order book that does not say whose |

Beside them, counted apart: `receive_time_clamped` rows whose receive time ran backwards,
`trade_zero_size` trades of size 0, `book_gapped` books that lost the thread, `book_levels_dropped`
levels beyond the limit or past all integers, `source_sequence_missing` frames that never came.
"""

from headrace.errors import RecordError

TRADE = "frame_trade"
QUOTE = "frame_quote"
DEPTH = "frame_depth"
SNAPSHOT = "frame_snapshot"
CONTROL = "frame_control"
IGNORED_TYPE = "frame_ignored_type"
TRADE_ZERO_SIZE = "frame_trade_zero_size"
TRADE_REPEATED = "frame_trade_repeated"
DEPTH_STALE = "frame_depth_stale"
DUPLICATE = "frame_duplicate"
DEAD_PREFIX = "frame_dead_"

NOT_JSON = "not_json"
UNKNOWN_FRAME = "unknown_frame"
MALFORMED = "malformed"
BAD_DECIMAL = "bad_decimal"
UNKNOWN_INSTRUMENT = "unknown_instrument"
UNKNOWN_VENUE = "unknown_venue"
SNAPSHOT_WITHOUT_INSTRUMENT = "snapshot_without_instrument"

TIMES_CLAMPED = "receive_time_clamped"
ZERO_SIZE_TRADES = "trade_zero_size"
BOOKS_GAPPED = "book_gapped"
LEVELS_DROPPED = "book_levels_dropped"
SEQUENCES_MISSING = "source_sequence_missing"


class FrameError(RecordError):
    """A frame that cannot be used; `cause` is one of the dead causes above."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
