"""The jobs in stock Faust, as its guides write them: an agent, a table in RocksDB, codecs for Avro.

Tuned: larger polls and buffers, compression, no web server. Faust has no setting that makes its
producer idempotent without transactions: it runs without, in its favour.
"""

import os

import faust
from faust.serializers import codecs
from framing import Record, output_writer, trade_reader

SIZE_LOTS_MIN = int(os.environ["BENCH_SIZE_LOTS_MIN"])
PARTITIONS = 8


class Trades(codecs.Codec):
    """Decodes trades."""

    read = staticmethod(trade_reader())

    def _loads(self, s: bytes) -> Record:
        return self.read(s)


class Outputs(codecs.Codec):
    """Encodes the job's output."""

    write = staticmethod(output_writer())

    def _dumps(self, s: Record) -> bytes:
        return self.write(s)


codecs.register("trade", Trades())
codecs.register("output", Outputs())

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_KAFKA']}",
    datadir=os.environ["BENCH_STATE"],
    store="rocksdb://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    broker_check_crcs=True,
    broker_max_poll_records=5_000,
    stream_buffer_maxsize=16_384,
    producer_acks=-1,
    producer_compression_type="lz4",
    producer_linger_ms=20,
    producer_max_batch_size=262_144,
    web_enabled=False,
)
trades = app.topic(
    os.environ["BENCH_INPUT"], key_serializer="raw", value_serializer="trade", key_type=bytes
)
output = app.topic(
    os.environ["BENCH_OUTPUT"], key_serializer="raw", value_serializer="output", key_type=bytes
)

if os.environ["BENCH_JOB"] == "vwap":
    sums = app.Table("sums", key_type=str, partitions=PARTITIONS)

    @app.agent(trades, name="track_vwap")
    async def track_vwap(stream: faust.StreamT) -> None:
        """Write the running price of each trade's symbol."""
        async for trade in stream:
            symbol = trade["symbol"]
            turnover, volume_lots = sums.get(symbol) or (0, 0)
            turnover += trade["price_ticks"] * trade["size_lots"]
            volume_lots += trade["size_lots"]
            sums[symbol] = [turnover, volume_lots]
            record = {
                "symbol": symbol,
                "time_ns": trade["time_ns"],
                "vwap": turnover / volume_lots,
                "volume_lots": volume_lots,
            }
            await output.send(key=symbol.encode(), value=record)

else:

    @app.agent(trades, name="keep_large")
    async def keep_large(stream: faust.StreamT) -> None:
        """Write what each large trade was worth."""
        async for trade in stream:
            if trade["size_lots"] > SIZE_LOTS_MIN:
                record = {
                    "symbol": trade["symbol"],
                    "time_ns": trade["time_ns"],
                    "notional": trade["price_ticks"] * trade["size_lots"],
                }
                await output.send(key=trade["symbol"].encode(), value=record)


if __name__ == "__main__":
    app.main()
