"""The jobs in Quix Streams, as its guides write them: a dataframe of dicts, state in RocksDB.

Tuned: log level and batching of the client; commits every 5 s, its default, which is the least
work. Changelogs are on, as they are by default. Windows close by the time of their key, its
default; trades that are too late are not logged.
"""

import os
from collections.abc import Callable
from typing import Any

from framing import Record, output_writer, trade_reader
from quixstreams import Application, State
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.models import Deserializer, SerializationContext, Serializer, Topic

SIZE_LOTS_MIN = int(os.environ["BENCH_SIZE_LOTS_MIN"])
WINDOWS_MS = [int(size_ms) for size_ms in os.environ["BENCH_WINDOWS_MS"].split(",")]
GRACE_MS = int(os.environ["BENCH_GRACE_MS"])
NS_A_MS = 1_000_000

Sums = tuple[int, int, int]
"""Trades, volume and turnover of a window."""


class FromAvro(Deserializer):
    """Decodes trades."""

    def __init__(self) -> None:
        super().__init__()
        self._read = trade_reader()

    def __call__(self, value: bytes, ctx: SerializationContext) -> Record:  # noqa: ARG002
        """Return a record."""
        return self._read(value)


class ToAvro(Serializer):
    """Encodes the job's output."""

    def __init__(self) -> None:
        super().__init__()
        self._write = output_writer()

    def __call__(self, value: Record, ctx: SerializationContext) -> bytes:  # noqa: ARG002
        """Return a framed value."""
        return self._write(value)


def track_vwap(trade: Record, state: State) -> Record:
    """Return the running price of the trade's symbol; its key is the message's."""
    turnover, volume_lots = state.get("sums", default=(0, 0))
    turnover += trade["price_ticks"] * trade["size_lots"]
    volume_lots += trade["size_lots"]
    state.set("sums", (turnover, volume_lots))
    return {
        "symbol": trade["symbol"],
        "time_ns": trade["time_ns"],
        "vwap": turnover / volume_lots,
        "volume_lots": volume_lots,
    }


def notional(trade: Record) -> Record:
    """Return what a trade was worth."""
    return {
        "symbol": trade["symbol"],
        "time_ns": trade["time_ns"],
        "notional": trade["price_ticks"] * trade["size_lots"],
    }


def time_ms(trade: Record, headers: Any, timestamp_ms: int, kind: Any) -> int:  # noqa: ARG001
    """Return the event time of a trade."""
    return trade["time_ns"] // NS_A_MS


def first_sums(trade: Record) -> Sums:
    """Return what a window holds after its first trade."""
    return 1, trade["size_lots"], trade["price_ticks"] * trade["size_lots"]


def more_sums(sums: Sums, trade: Record) -> Sums:
    """Return what a window holds after one more trade."""
    trades, volume_lots, turnover = sums
    size_lots = trade["size_lots"]
    return trades + 1, volume_lots + size_lots, turnover + trade["price_ticks"] * size_lots


def window_record(window: Record, symbol: str, timestamp_ms: int, headers: Any) -> Record:  # noqa: ARG001
    """Return the output of a closed window."""
    trades, volume_lots, turnover = window["value"]
    return {
        "symbol": symbol,
        "start_ns": window["start"] * NS_A_MS,
        "end_ns": window["end"] * NS_A_MS,
        "trades": trades,
        "volume_lots": volume_lots,
        # To the nearest integer, halves upwards.
        "vwap_ticks": (2 * turnover + volume_lots) // (2 * volume_lots),
    }


def vwap(frame: StreamingDataFrame, output: Topic) -> None:
    """Write the running price of each trade's symbol."""
    frame.apply(track_vwap, stateful=True).to_topic(output)


def keep_large(frame: StreamingDataFrame, output: Topic) -> None:
    """Write what each large trade was worth."""
    frame.filter(lambda trade: trade["size_lots"] > SIZE_LOTS_MIN).apply(notional).to_topic(output)


def gather_windows(frame: StreamingDataFrame, output: Topic) -> None:
    """Write each closed window, of every size."""
    for size_ms in WINDOWS_MS:
        windows = frame.tumbling_window(size_ms, GRACE_MS, on_late=lambda *_: False)
        closed = windows.reduce(more_sums, first_sums).final()
        closed.apply(window_record, metadata=True).to_topic(output)


JOBS: dict[str, Callable[[StreamingDataFrame, Topic], None]] = {
    "vwap": vwap,
    "filter": keep_large,
    "windows": gather_windows,
}


def main() -> None:
    """Run the job that the environment names."""
    app = Application(
        broker_address=os.environ["BENCH_KAFKA"],
        consumer_group=os.environ["BENCH_GROUP"],
        state_dir=os.environ["BENCH_STATE"],
        auto_offset_reset="earliest",
        loglevel="WARNING",
        consumer_extra_config={"check.crcs": True, "queued.min.messages": 500_000},
        producer_extra_config={
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 50,
        },
    )
    trades = app.topic(
        os.environ["BENCH_INPUT"],
        key_deserializer="str",
        value_deserializer=FromAvro(),
        timestamp_extractor=time_ms if os.environ["BENCH_JOB"] == "windows" else None,
    )
    output = app.topic(os.environ["BENCH_OUTPUT"], key_serializer="str", value_serializer=ToAvro())
    JOBS[os.environ["BENCH_JOB"]](app.dataframe(trades), output)
    app.run()


if __name__ == "__main__":
    main()
