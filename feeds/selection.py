"""Which frames a person's `--symbols` keep, judged without parsing the frames."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headrace.errors import FeedError

_STREAM = '{"stream":"'
_CONNECTION_SEQUENCE = '"sequence_num":'


class SymbolSelection:
    """Keeps the frames of these symbols, in any letter case; remembers where a source stands.

    Binance: the symbol of the `stream`; a frame without one (a depth snapshot) goes with the frame
    before it. Other venues: the symbol as a whole name within the text, so that acknowledgements
    and heartbeats without it are left out. Coinbase Advanced frames are all kept: their sequence
    runs over the whole connection, and a gap in it would make every book invalid.
    """

    def __init__(self, symbols: frozenset[str]) -> None:
        wanted = sorted(symbols)
        self._stream_heads = tuple(f"{_STREAM}{symbol.lower()}@" for symbol in wanted)
        names = "|".join(re.escape(symbol) for symbol in wanted)
        self._name = re.compile(f'["_.](?:{names})["@]', re.IGNORECASE)
        self._last_was_kept = True

    def keep(self, venue: str, payloads: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return which frames of one source are kept, given in order."""
        judge = self._keeps_stream if venue == "binance" else self._keeps_name
        return np.fromiter(map(judge, payloads), np.bool_, len(payloads))

    def _keeps_stream(self, payload: str) -> bool:
        if payload.startswith(_STREAM):
            self._last_was_kept = payload.startswith(self._stream_heads)
        return self._last_was_kept

    def _keeps_name(self, payload: str) -> bool:
        return self._name.search(payload) is not None or _CONNECTION_SEQUENCE in payload


def check_symbols(symbols: frozenset[str], *, kind: str) -> None:
    """Raise FeedError for a symbol that names a market, which a frame does not tell."""
    for symbol in sorted(symbols):
        if ":" in symbol or not symbol.strip():
            raise FeedError(
                f"feed {kind}: symbol {symbol!r}: expected a venue's own symbol such as BTCUSDT; "
                "leave the market away and choose it by the files you name"
            )
