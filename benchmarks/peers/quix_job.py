"""The jobs in Quix Streams, as its guides write them: a dataframe of dicts, state in RocksDB.

Tuned: log level and batching of the client; commits every 5 s, its default, which is the least
work. Changelogs are on, as they are by default.
"""

import os

from framing import Record, output_writer, trade_reader
from quixstreams import Application, State
from quixstreams.models import Deserializer, SerializationContext, Serializer

SIZE_LOTS_MIN = int(os.environ["BENCH_SIZE_LOTS_MIN"])


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
        os.environ["BENCH_INPUT"], key_deserializer="str", value_deserializer=FromAvro()
    )
    output = app.topic(os.environ["BENCH_OUTPUT"], key_serializer="str", value_serializer=ToAvro())
    frame = app.dataframe(trades)
    if os.environ["BENCH_JOB"] == "vwap":
        frame = frame.apply(track_vwap, stateful=True)
    else:
        frame = frame.filter(lambda trade: trade["size_lots"] > SIZE_LOTS_MIN).apply(notional)
    frame.to_topic(output)
    app.run()


if __name__ == "__main__":
    main()
